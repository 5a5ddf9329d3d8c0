"""SSH: connections, host keys, command execution and file transfer, on asyncssh."""
