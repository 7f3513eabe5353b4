"""Tells words from what chance has made, by which letter follows which.

The table was counted over English documentation and the names in Python's own sources: a line for each letter a-z, and in it
for each letter after it 9 where they follow one another eight times as often as chance would have it, 0 at a sixteenth of that,
and between them the logarithm.
"""

import re

_FOLLOWS = (
    "25660250503767050768432340"
    "74447321741833720663610050"
    "71447207506632820647500020"
    "63469430811533631564521030"
    "52674540300657243876143530"
    "63446720901634730646601030"
    "62339246700646630774610020"
    "82139000702442820546410140"
    "54655550001659740567040304"
    "82448411545242841272735121"
    "63349251722544540374524030"
    "72358210802712730165520050"
    "85239101701452771152510020"
    "62677471603324620278450010"
    "44662440404668560866645200"
    "81338215502721750856511040"
    "32232422200733221664942012"
    "72559340703454730566430040"
    "50628326703533663368622040"
    "72438316801432640765412050"
    "56545440500768460777000100"
    "83529322700233630344003020"
    "82347327802336720763002010"
    "53647404700453583348222340"
    "53436351501666590476034143"
    "71129223700341632334221043"
)
_PAIRS = {
    first + second: int(_FOLLOWS[26 * row + column])
    for row, first in enumerate("abcdefghijklmnopqrstuvwxyz")
    for column, second in enumerate("abcdefghijklmnopqrstuvwxyz")
}
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")

NATURAL = 5.0  # of 16 random letters 1 % reach it, of two words 99 %
RANDOM = 4.3  # of 16 random letters 85 % are below it, of two words fewer than one in a thousand


def naturalness(value: bytes) -> float:
    """In [0, 9]: how usual the pairs of letters in `value` are; 0 where there are none."""
    runs = [run.lower() for run in _RUN.findall(value.decode("ascii", "replace"))]
    pairs = [_PAIRS[run[at : at + 2]] for run in runs for at in range(len(run) - 1)]
    return sum(pairs) / len(pairs) if pairs else 0.0
