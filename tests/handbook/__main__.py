"""`python -m tests.handbook [SITUATION...]`: write anew what the handbook shows of code and real runs."""

import asyncio
import sys

from tests.handbook import settings_page, shown
from tests.handbook.pages import HANDBOOK
from tests.situations import kept  # noqa: F401 - makes the situations known
from tests.situations.scene import own_ground


async def main(chosen: list[str]) -> None:
    (HANDBOOK / "settings.md").write_text(settings_page.page())
    looks = shown.wanted()
    async with own_ground() as ground:
        for situation in chosen or dict.fromkeys(look.situation for look in looks):
            these = [look for look in looks if look.situation == situation]
            shown.write(await shown.taken(situation, these, ground))
            print(situation, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
