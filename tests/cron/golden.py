#!/usr/bin/env python3
"""Makes golden.txt: when cron patterns are due around changes of an offset, by brute force.

Walks real time minute by minute as Debian's cron does, with its wall clock before it, and knows nothing of how
src/cron/search.rs finds the same. Zone data are those of the PyPI package tzdata, whatever the machine has.

    python3 -m venv venv && venv/bin/pip install tzdata cronsim
    PYTHONTZPATH= venv/bin/python tests/cron/golden.py > tests/cron/golden.txt
    PYTHONTZPATH= venv/bin/python tests/cron/golden.py --cronsim    # what PyPI's cronsim says otherwise

One case a line: zone, instant of the change (seconds), pattern, slots. Slots are minutes from the change on, as runs
`first+step*more`; the window is WINDOW minutes each way.
"""

import signal
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

WINDOW = 26 * 60
# Seconds for one case of cronsim.
PATIENCE = 3
CORRECTED = 3 * 60

# Each with a date from which on three changes of its offset are taken.
ZONES = [
    ("America/New_York", "2026-01-01"),
    ("Europe/Berlin", "2026-01-01"),
    ("Australia/Lord_Howe", "2026-01-01"),  # half an hour
    ("Africa/Cairo", "2026-01-01"),  # a gap at midnight, an overlap before it
    ("Asia/Beirut", "2026-01-01"),  # the same, on another day of the week
    ("America/Havana", "2026-01-01"),  # a gap at midnight, an overlap after it
    ("America/St_Johns", "2010-01-01"),  # a minute past midnight
    ("Antarctica/Troll", "2026-01-01"),  # two hours
    ("Africa/Casablanca", "2026-01-01"),  # set back for Ramadan
    ("Pacific/Apia", "2011-09-01"),  # a day that never was
    ("Asia/Kathmandu", "1985-01-01"),  # a quarter of an hour, once; padded from Pyongyang below
    ("America/Caracas", "2007-01-01"),  # half an hour back, and forth again nine years later
]
# Where a zone had fewer than three changes since, the next one's follow.
PADDING = [("Asia/Pyongyang", "2015-01-01"), ("Pacific/Kwajalein", "1993-01-01")]

PATTERNS = [
    "0 0 * * *", "1 0 * * *", "15 0 * * *", "30 0 13 * 5", "0 1 * * *", "0 2 * * *", "30 2 * * *", "30 1,2,3 * * *",
    "5-55/10 0-3 * * *", "0 3 * * 0", "0 0 1 * *", "0 12 * * *", "59 23 * * *", "0,30 23,0 * * *", "0 0 */2 * *",
    "0 0 * * */2", "* * * * *", "*/15 * * * *", "0 * * * *", "30 * * * *", "*/20 0-4 * * *", "* 2 * * *",
    "0 */2 * * *", "45 */3 * * *", "*/30 1 * * *",
]


def field(text, low, high):
    values = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        else:
            first, _, last = span.partition("-")
            first, last = int(first), int(last or first)
        values.update(range(first, last + 1, int(step or 1)))
    return values


class Pattern:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.minutes, self.hours = field(minute, 0, 59), field(hour, 0, 23)
        self.days, self.months = field(day, 1, 31), field(month, 1, 12)
        self.weekdays = {d % 7 for d in field(weekday, 0, 7)}
        self.fixed = minute[0] != "*" and hour[0] != "*"
        self.both = day[0] == "*" or weekday[0] == "*"

    def matches(self, wall):
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.both else (day or weekday)


def wall(zone, minute):
    shown = datetime.fromtimestamp(minute * 60, zone)
    return shown.replace(tzinfo=None, second=0, fold=0)


def slots(zone, pattern, first, last):
    """Those from first to last, walked from three days before on, so that what was shown before is known."""
    found, due_from, before = [], None, None
    for minute in range(first - 3 * 1440, last + 1):
        now = wall(zone, minute)
        if before is not None:
            leap = int((now - before).total_seconds() // 60) - 1
            if 0 < leap <= CORRECTED and pattern.fixed:
                missed = (before + timedelta(minutes=1 + n) for n in range(leap))
                if any(pattern.matches(m) for m in missed) and minute >= first:
                    found.append(minute)
            if -CORRECTED <= leap < 0 and pattern.fixed:
                due_from = before + timedelta(minutes=1)
            elif abs(leap) > CORRECTED:
                due_from = None
        before = now
        seen_before = due_from is not None and now < due_from
        if pattern.matches(now) and not seen_before and minute >= first and minute not in found[-1:]:
            found.append(minute)
    return found


def changes(name, since, count):
    zone, at = ZoneInfo(name), datetime.fromisoformat(since).replace(tzinfo=timezone.utc)
    offset = lambda t: t.astimezone(zone).utcoffset()
    end, hour = datetime(2037, 1, 1, tzinfo=timezone.utc), timedelta(hours=1)
    while at < end and count > 0:
        if offset(at) == offset(at + hour):
            at += hour
            continue
        instant = at
        while offset(instant) == offset(at):
            instant += timedelta(minutes=1)
        yield name, int(instant.timestamp())
        count -= 1
        at += hour


def transitions():
    padding = [c for zone, since in PADDING for c in changes(zone, since, 3)]
    for name, since in ZONES:
        mine = list(changes(name, since, 3))
        while len(mine) < 3:
            mine.append(padding.pop(0))
        yield from mine


def runs(numbers):
    out, at = [], 0
    while at < len(numbers):
        step = numbers[at + 1] - numbers[at] if at + 1 < len(numbers) else 0
        end = at + 1
        while end < len(numbers) and numbers[end] - numbers[end - 1] == step:
            end += 1
        out.append(str(numbers[at]) if end == at + 1 else f"{numbers[at]}+{step}*{end - at - 1}")
        at = end
    return " ".join(out) or "-"


def cases():
    patterns = [(text, Pattern(text)) for text in PATTERNS]
    for name, instant in transitions():
        centre = instant // 60
        for text, pattern in patterns:
            found = slots(ZoneInfo(name), pattern, centre - WINDOW, centre + WINDOW)
            yield name, instant, text, [m - centre for m in found]


def of_cronsim(name, instant, text):
    from cronsim import CronSim

    centre = instant // 60
    begin = datetime.fromtimestamp((centre - WINDOW - 1) * 60 + 59, ZoneInfo(name))
    found = []
    for at in CronSim(text, begin):
        minute = int(at.timestamp()) // 60
        if minute > centre + WINDOW:
            return found
        found.append(minute - centre)


def give_up(*_):
    raise TimeoutError


def main():
    if "--cronsim" not in sys.argv:
        for name, instant, text, found in cases():
            print(name, instant, text, runs(found), sep="\t")
        return
    signal.signal(signal.SIGALRM, give_up)
    same = 0
    for name, instant, text, found in cases():
        signal.alarm(PATIENCE)
        try:
            other = of_cronsim(name, instant, text)
        except TimeoutError:
            print(name, instant, text, "cronsim does not end", sep="\t")
            continue
        finally:
            signal.alarm(0)
        if other == found:
            same += 1
            continue
        ours, theirs = sorted(set(found) - set(other)), sorted(set(other) - set(found))
        print(name, instant, text, f"only here: {runs(ours)}", f"only cronsim: {runs(theirs)}", sep="\t")
    print(f"# {same} cases are the same", file=sys.stderr)


main()
