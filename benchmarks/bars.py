"""What was reached, next to the bar and the aim that were set for it."""

from typing import NamedTuple


class Bar(NamedTuple):
    """One figure of merit; `at_least` says that more is better."""

    name: str
    value: float
    bar: float
    aim: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        sign = -1 if self.at_least else 1
        if sign * self.value <= sign * self.aim:
            return "aim reached"
        return "bar reached" if sign * self.value <= sign * self.bar else "MISSED"


def show(bars: list[Bar]) -> None:
    print(f"\n{'':52} {'value':>8} {'bar':>8} {'aim':>8}")
    for bar in bars:
        sign = ">=" if bar.at_least else "<="
        print(f"{bar.name:52} {bar.value:8.2f} {sign}{bar.bar:6g} {sign}{bar.aim:6g}  {bar.verdict}")
