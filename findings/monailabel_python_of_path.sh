#!/bin/sh
# The command `monailabel` of MONAI Label 0.8.5 runs whatever `python` is first on PATH, not that of its environment.
#
# pip writes the interpreter of the environment into console scripts, so that ENV/bin/NAME works from anywhere: cron,
# systemd, a notebook. `monailabel` is a shell script that runs `python -m monailabel.main`. By its full path, without
# the environment activated, it finds no MONAI Label, or serves with another version of it. It also joins its arguments
# with spaces: `--studies "my scans"` arrives as two words. `ENV/bin/python -m monailabel.main` does neither.
#
# Shown without its 4 GB of dependencies: with a `python` on PATH that prints its arguments, one a line.
# Seen with Python 3.11.7, monailabel 0.8.5:
#   the python of PATH got 6 words: -m monailabel.main start_server --studies my scans
#
# sh findings/monailabel_python_of_path.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps monailabel==0.8.5
mkdir "$folder/other"
cat >"$folder/other/python" <<'PYTHON'
#!/bin/sh
[ "$1" = --version ] && echo "Python 3.11.7" && exit
for word in "$@"; do echo "word: $word"; done
PYTHON
chmod +x "$folder/other/python"
echo "$("$folder/venv/bin/python" --version), monailabel $("$folder/venv/bin/pip" --disable-pip-version-check show monailabel 2>/dev/null | sed -n 's/^Version: //p')"
PATH="$folder/other:$PATH" "$folder/venv/bin/monailabel" start_server --studies "my scans" >"$folder/said"
grep "^word: " "$folder/said" || true
grep "^word: " "$folder/said" >"$folder/words" || true
printf 'word: %s\n' -m monailabel.main start_server --studies my scans >"$folder/expected"
if cmp -s "$folder/words" "$folder/expected"; then
    echo "as described"
else
    echo "it behaves otherwise now"
    exit 1
fi
