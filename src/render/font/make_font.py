#!/usr/bin/env python3
"""Makes sitewarden-sans-sc.otf: the one font that annotated pictures are drawn with.

A subset of Noto Sans CJK SC Regular (SIL Open Font License 1.1, see OFL.txt):
Latin, punctuation, the symbols used in labels, and the 6,763 hanzi of GB 2312.

    apt-get install fonts-noto-cjk
    python3 -m venv VENV && VENV/bin/pip install fonttools==4.68.0
    VENV/bin/python make_font.py

The outlines stay CFF; hints and layout tables go, since only ab_glyph reads the file.
The source names no Reserved Font Name, so its licence would allow the name Noto; the
subset has a name of its own all the same, since Noto is a trademark and this is not
what Google ships.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection

SOURCE = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
TARGET = Path(__file__).with_name("sitewarden-sans-sc.otf")
FAMILY = "Sitewarden Sans SC"


def gb2312(rows):
    for row in rows:
        for cell in range(0xA1, 0xFF):
            try:
                yield ord(bytes([row, cell]).decode("gb2312"))
            except UnicodeDecodeError:
                pass  # not every cell of a row is filled


def wanted():
    yield from range(0x20, 0x7F)  # ASCII
    yield from range(0xA0, 0x100)  # Latin-1
    yield from range(0x2010, 0x2028)  # dashes, quotes, bullet, ellipsis
    yield from map(ord, "€™←↑→↓↔−≈≠≤≥■□▲△▼▽●○◆◇★☆✓✗⚠㎜㎝㎞㎡㎏\ufffd")
    yield from range(0x2500, 0x2580)  # box drawing
    yield from range(0x3000, 0x3018)  # CJK punctuation
    yield from range(0xFF00, 0xFF66)  # full-width forms
    yield from gb2312(range(0xA1, 0xA4))  # symbols, numerals, full-width forms
    yield from gb2312(range(0xB0, 0xF8))  # the hanzi of both levels


def main():
    fonts = TTCollection(SOURCE).fonts
    font = next(f for f in fonts if f["name"].getDebugName(1) == "Noto Sans CJK SC")
    options = subset.Options()
    options.hinting = False
    options.desubroutinize = False
    options.layout_features = []
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG"]
    options.notdef_outline = True
    options.name_IDs = [0, 7, 13, 14]
    options.name_languages = [0x409]
    options.glyph_names = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=set(wanted()))
    subsetter.subset(font)

    name = font["name"]
    for ident, text in [(1, FAMILY), (2, "Regular"), (4, FAMILY), (6, FAMILY.replace(" ", "") + "-Regular")]:
        name.setName(text, ident, 3, 1, 0x409)
    cff = font["CFF "].cff
    cff.fontNames = [FAMILY.replace(" ", "") + "-Regular"]
    top = cff.topDictIndex[0]
    for field, text in [("FamilyName", FAMILY), ("FullName", FAMILY)]:
        if hasattr(top, field):
            setattr(top, field, text)
    font["head"].modified = font["head"].created  # the same input gives the same bytes
    font.recalcTimestamp = False
    font.save(TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes, {len(font.getBestCmap()):,} characters", file=sys.stderr)


if __name__ == "__main__":
    main()
