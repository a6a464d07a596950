"""For how many seconds tests wait for what must come, where nothing else is said.

A machine may be slow, so they wait for long. Once a test has waited in vain, those behind it in this process wait for a
quarter of that: whatever hangs in each of them must not make the whole run take hours.
"""
USUAL = 60
_seconds = USUAL


def seconds():
    return _seconds


def lose(to=USUAL / 4):
    global _seconds
    _seconds = to
