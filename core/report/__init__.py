"""The report of a run, for whoever writes down what happened: gathered once, written as Markdown or as HTML."""
