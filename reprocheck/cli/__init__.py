"""The command line: parse, call, write, exit. No judging, no counting.

Only click is imported by these modules: what a command needs is imported when it runs, so that ``--help`` is quick.
"""
