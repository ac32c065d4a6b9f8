"""
JSONata in a process of its own, with hard bounds (ADR 0008).

An expression is a program that a stranger wrote. Inside: no `$eval`, a limit of time and depth
(`engine`), a regular expression engine that cannot run away. Around it: a process with little
memory that is killed when its time is up (`processes`), because a single call of a built-in
function can take all of both, and nothing within Python can stop it.

Only the child imports `engine`: JSONata is not safe in threads, and raises the recursion limit of
its whole process to 10,000.
"""
