"""The scripts that run inside containers.

Each is constant; what varies is handed over as positional arguments, so no name and no content ever becomes
part of a shell text. They keep to what busybox and coreutils share.

The tree of a plugin is swapped by two renames on one file system. Whoever swaps has a staging directory of
its own, plugins/.staging/<staging>:

    new/<name>    uploaded, not yet live; garbage if nobody is at work
    old/<name>    the old tree, between the two renames

Whoever finds an old tree there finishes: it goes back if there is no live one, else the new one is in and
it goes. A script outlives the api that started it, and so two can be at work. That harms nothing: trees are
moved into directories (`mv tree .`), which fails where there is one already; and a staging directory is taken
from its owner by `rmdir old`, which fails while a tree is in it, and by a rename, before anything in it goes.
"""

NOT_WRITABLE = 30
NAME_DIFFERS_IN_CASE = 33
CHANGED_MEANWHILE = 35
NOT_INSTALLED = 44
MISSING_PROGRAM = (126, 127)

_ENTER = "cd /configs/plugins 2>/dev/null"

_FINISH = """
[ -d .staging ] && [ ! -L .staging ] || rm -f .staging
for old in .staging/*/old/*; do
    [ -e "$old" ] || [ -L "$old" ] || continue
    if [ -e "${old##*/}" ] || [ -L "${old##*/}" ]; then rm -rf "$old"; else mv "$old" .; fi || exit 30
done
for own in .staging/* .staging/.[!.]*; do
    [ -e "$own" ] || [ -L "$own" ] || continue
    [ ! -d "$own/old" ] || rmdir "$own/old" || exit 30
    mv "$own" "$own.gone" && rm -rf "$own.gone" || exit 30
done
[ ! -d .staging ] || rmdir .staging || exit 30
rm -f /configs/.CLAUDE.md.new
"""

PREPARE = f"""
if ! {_ENTER}; then
    mkdir -p /configs/plugins && chown 1000:1000 /configs/plugins && {_ENTER} || exit 30
fi
{_FINISH}
mkdir -p .staging && rmdir .staging || exit 30
"""
"""PREPARE: a directory that uploads can be made in, without traces of earlier ones."""

SWAP = f"""
{_ENTER} || exit 30
own=.staging/$3
for other in $2; do
    case "$other" in "$1" | "$2") continue ;; esac
    rm -rf "$own"
    rmdir .staging
    exit 33
done
[ -d "$own/old" ] || exit 35
if [ -e "$1" ] || [ -L "$1" ]; then mv "$1" "$own/old/." || exit 30; fi
if ! mv "$own/new/$1" .; then
    [ ! -e "$own/old/$1" ] || mv "$own/old/$1" .
    exit 30
fi
rm -rf "$own"
rmdir .staging
[ ! -f "$1/plugin.yaml" ] || head -c 65536 "$1/plugin.yaml"
"""
"""SWAP name name-in-any-case staging: the uploaded tree becomes the live one; its manifest is read back.

No two plugins are live whose names differ only by case: `for` puts what there is in the place of the
pattern, and the pattern itself where there is nothing.

Ends with CHANGED_MEANWHILE where somebody took the staging directory away: an upload that goes on makes the
path anew, with the rest of the tree in it, and half a plugin must not go live.
"""

CLEAN = f"{_ENTER} || exit 0\n{_FINISH}"
"""CLEAN: put back or finish what was broken off, and drop what nobody will use."""

LIST = f"""
{_ENTER} || exit 0
for old in .staging/*/old/*; do
    if [ -e "$old" ] || [ -L "$old" ]; then exit 35; fi
done
for name in *; do
    case "$name" in *[!A-Za-z0-9._-]* | [!A-Za-z0-9]*) continue ;; esac
    [ -d "$name" ] && [ ! -L "$name" ] || continue
    file=$name/plugin.yaml
    if [ -f "$file" ] && [ ! -L "$file" ]; then set -- "$@" "$file"; else echo "0 $file"; fi
done
[ $# -eq 0 ] || wc -c "$@"
echo contents
[ $# -eq 0 ] || head -q -c 65536 "$@"
"""
"""LIST: for each plugin a line of the size and the path of its manifest, as wc(1) writes them; the line
`contents`; and then, one after the other, the first 64 KiB of each. Two programs for all of them, not two for
each. Nothing at all where no plugin ever was.

Ends with CHANGED_MEANWHILE, and CLEAN is wanted, when a swap was broken off.
"""

READ = """
number=0
for file; do
    size=0
    [ ! -f "$file" ] || [ -L "$file" ] || size=$(wc -c <"$file")
    if [ "$size" -gt 0 ] && [ "$size" -le 1048576 ]; then
        printf 'file %d %d\\n%s' "${#number}" "$size" "$number"
        head -c "$size" "$file"
    fi
    number=$((number + 1))
done
"""
"""READ path...: for each that is a regular file of at most 1 MiB a line `file <length of its number> <size>`,
and then both."""

EDIT = f"""
{_ENTER} || exit 30
before=.staging/$2/new/$1/before after=.staging/$2/new/$1/after target=/configs/CLAUDE.md
end() {{
    rm -rf ".staging/$2"
    rmdir .staging
    exit "$1"
}}
cmp -s "$before" "$target" || end 35 "$2"
cp -p "$target" /configs/.CLAUDE.md.new && cat "$after" >/configs/.CLAUDE.md.new || end 30 "$2"
mv -f /configs/.CLAUDE.md.new "$target" 2>/dev/null && end 0 "$2"
rm -f /configs/.CLAUDE.md.new
cat "$after" >"$target" || end 30 "$2"
end 0 "$2"
"""
"""EDIT name staging: CLAUDE.md becomes the uploaded `after` if it is still `before`; owner and mode stay."""

REMOVE = f"""
{_ENTER} || exit 44
name=$1
shift
[ -e "$name" ] || [ -L "$name" ] || exit 44
for skill; do rm -rf "/configs/skills/$skill" || exit 30; done
mkdir -p .staging/gone && mv "$name" .staging/gone/. || exit 30
rm -rf .staging/gone || exit 30
rmdir .staging
"""
"""REMOVE name skill...: the skills, and last the tree, so that a repeated uninstall can finish."""


def shell(script: str, *arguments: str) -> list[str]:
    """The argument vector that runs `script`."""
    return ["sh", "-c", script, "healthsweep", *arguments]


def in_any_case(name: str) -> str:
    """A pattern of sh(1) for a plugin's name, and for every name that differs from it only by case."""
    return "".join(f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else letter for letter in name)
