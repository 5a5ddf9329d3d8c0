"""What the run screen says about a run: its figures, and the one line on what comes next.

Pure functions: views in, spans out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.model.actors import place
from core.model.states import FAILING, Asked, RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, StepNeed
from themes.signs import run_sign
from tui import words
from tui.actions import count, is_executing, unknown_host_key
from tui.doubts import doubts
from tui.look import Look
from tui.pace import StepPace
from tui.pace import told as told_pace
from tui.paint import Span, Spans, hanging, width_of
from tui.rows import share_done


def bar_role(run: RunInfo) -> str:
    """The colour of a run's progress bar."""
    if run.state in {RunState.FAILED, RunState.ROLLBACK_FAILED}:
        return "error"
    if run.state is RunState.DONE:
        return "success"
    return "accent" if is_executing(run) else "warning"


def figures(run: RunInfo, look: Look, pace: words.Pace | None = None) -> Spans:
    """ "71 %   204/288   3m 10s, about 2m left"."""
    now = look.clock()
    took = words.duration(words.elapsed_s(run, now)) or "0s"
    if run.state is RunState.ROLLING_BACK:
        undone = run.undo_counts.get(UndoState.UNDONE, 0)
        total = sum(number for state, number in run.undo_counts.items() if state is not UndoState.NONE)
        return [
            (f"{int(share_done(run) * 100):>3} %", "bold"),
            (f"   {undone}/{total} undone", ""),
            (f"   {took}", "muted"),
        ]
    spans: list[Span] = [
        (f"{words.percent(run.ended_tasks, run.tasks):>3} %", "bold"),
        (f"   {run.ended_tasks}/{run.tasks}", ""),
        (f"   {took}", "muted"),
    ]
    if is_executing(run):
        left = words.left_s(run, now, pace)
        if left is not None:
            spans.append((look.own(f", {words.about(left)}"), "muted"))
    return spans


def state_line(
    run: RunInfo,
    look: Look,
    actor: str = "",
    refused: Callable[[str], str] | None = None,
    width: int = 0,
) -> tuple[Spans, Spans]:
    """The state of the run in words with what went wrong and who has its control, and the keys that matter next.

    `actor` is who looks at it; `refused` says why an action is not possible from here at all; `width` is what there is
    room for, 0 for any.
    """
    sign = run_sign(run.state, interrupted=run.interrupted)
    spans: list[Span] = []
    if run.protection == "production":
        spans += [("PRODUCTION ", "bold error"), (f"{look.text(run.environment)}  ".lstrip(), "bold")]
    spans.append(
        (sign.text(ascii_only=look.ascii_only), f"bold {sign.role}" if sign.role != "muted" else "bold")
    )
    told = _told(run)
    if told:
        spans.append((f": {look.text(told)}", ""))
    if run.controller:
        mine = place(run.controller) == place(actor)
        spans.append((f"  control: {'you' if mine else look.text(place(run.controller))}", "accent"))
    keys: list[Span] = []
    for key, what in next_keys(run):
        if not (refused and refused(OF_KEYS.get(key, ""))):
            keys += [("   ", ""), (key, "bold accent"), (f" {what}", "muted")]
    while len(keys) > 3 and 0 < width < width_of(spans) + width_of(keys):
        keys = keys[:-3]  # the state goes before the keys, all but the first of which the bottom line has too
    return spans, keys


OF_KEYS = {"p": "resume", "d": "decide", "r": "retry", "R": "roll_back"}
"""What the keys of `next_keys` do, as reasons against it are asked for."""


def _told(run: RunInfo) -> str:
    if is_executing(run) and run.asked is Asked.PAUSE:
        return "pausing, tasks in flight end first"
    if is_executing(run) and run.asked is Asked.CANCEL:
        return "cancelling, tasks in flight are being stopped"
    if is_executing(run) and run.asked is Asked.ROLL_BACK and run.state is RunState.RUNNING:
        return "rolling back begins when nothing runs any more"
    if run.interrupted and run.state.open:
        return "no engine executes it"
    trouble = words.trouble(run.counts)
    undone_badly = words.undo_trouble(run.undo_counts)
    if undone_badly:
        return undone_badly
    if run.state is RunState.DONE:
        in_place = run.counts.get(TaskState.IN_PLACE, 0)
        told = f"{run.ended_tasks}/{run.tasks} on {words.plural(run.servers, 'server')}"
        return (
            told
            + (f", {in_place} already in place" if in_place else "")
            + (f", {trouble}" if trouble else "")
        )
    return trouble or (run.why if run.state not in {RunState.RUNNING, RunState.ROLLING_BACK} else "")


def next_keys(run: RunInfo) -> list[tuple[str, str]]:
    """What a person would do next: (key, what it does), at most three."""
    keys: list[tuple[str, str]] = []
    if run.interrupted and run.state.open:
        keys.append(("p", "resumes it"))
    if doubts(run) and not is_executing(run) and not run.interrupted:
        keys.append(("p", "asks the servers"))
    if doubts(run):
        keys.append(("d", "decides"))
    elif run.state in {RunState.PAUSED, RunState.WAITING} and not run.interrupted:
        keys.append(("p", "resumes it"))
    if (
        not is_executing(run)
        and (count(run, *FAILING) or (run.state is RunState.CANCELLED and count(run, TaskState.CANCELLED)))
        and run.state not in {RunState.ROLLED_BACK, RunState.ROLLING_BACK}
    ):
        keys.append(("r", "retries"))
    if run.state is RunState.FAILED:
        keys.append(("R", "rolls back"))
    if run.state in {RunState.DONE, RunState.CANCELLED, RunState.ROLLED_BACK}:
        keys += [("o", "shows output"), ("esc", "back")]
    return keys[:3]


def trust_hint(why: str) -> Spans:
    """The key that asks about an unknown host key, where that is what keeps a server away."""
    return [("T", "bold accent"), (" looks at its host key", "muted")] if unknown_host_key(why) else []


def about_run(
    run: RunInfo,
    step: StepInfo | None,
    folder: str,
    look: Look,
    width: int,
    needs: Sequence[StepNeed] = (),
    pace: StepPace | None = None,
) -> list[Spans]:
    """What stands beside the steps where there is room: the chosen step, and how the run came about.

    `folder` is the workspace's, which paths are shown without; `needs` and `pace` are those of the step.
    """
    clean = look.text

    def entry(name: str, text: str, role: str = "") -> list[Spans]:
        return hanging((f"{name:<8}", "muted"), text, width, role)

    lines: list[Spans] = []
    if step is not None:
        lines.append([("step    ", "muted"), (clean(step.name), "bold"), (f"  {clean(step.kind)}", "muted")])
        if step.summary:
            lines += entry("", clean(step.summary, max_chars=240))
        for need in needs:
            lines += entry("needs" if need is needs[0] else "", clean(_need(need)))
        if pace is not None and pace.per_s:
            ahead = f", {words.about(pace.left_s)}" if pace.left_s is not None else ""
            lines += entry("pace", look.own(f"{told_pace(pace.per_s)}{ahead}"))
        if step.irreversible:
            lines += entry("", "cannot be undone", "warning")
    path = run.path.removeprefix(folder).lstrip("/") if folder else run.path
    lines += entry("batch", clean(path))
    for name, value in list(run.params.items())[:8]:
        lines += entry("param", clean(f"{name} = {words.as_typed(value)}", max_chars=120))
    lines += entry("servers", str(run.servers))
    lines += entry("by", clean(f"{place(run.actor)}, {words.stamp(run.created)}"))
    if run.parent is not None:
        lines += entry("again", f"run {run.parent}")
    return lines


def _need(need: StepNeed) -> str:
    where = "on all servers" if need.everywhere else "on the same server"
    return f"{need.needs} {where}" + ("" if need.hard else ", whatever comes of it")


def why_lines(sentences: Sequence[str], look: Look, width: int) -> list[Spans]:
    """Why a task stands where it stands."""
    lines: list[Spans] = []
    for at, text in enumerate(sentences):
        lines += hanging(("why: " if at == 0 else "     ", "bold"), look.text(text), width)
    return lines
