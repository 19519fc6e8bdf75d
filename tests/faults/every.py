"""All planted faults: one table a part, joined here."""

from fault import Fault
from faults_captions import FAULTS_CAPTIONS
from faults_experts import FAULTS_EXPERTS
from faults_faith import FAULTS_FAITH
from faults_find import FAULTS_FIND
from faults_graphs import FAULTS_GRAPHS
from faults_index import FAULTS_INDEX
from faults_many import FAULTS_MANY
from faults_mass import FAULTS_MASS
from faults_moment_scores import FAULTS_MOMENT_SCORES
from faults_moments import FAULTS_MOMENTS
from faults_page import FAULTS_PAGE
from faults_pooled import FAULTS_POOLED
from faults_recommend import FAULTS_RECOMMEND
from faults_retrieval import FAULTS_RETRIEVAL
from faults_rows import FAULTS_ROWS
from faults_speed import FAULTS_SPEED
from faults_text_line import FAULTS_TEXT_LINE
from faults_warnings import FAULTS_WARNINGS
from faults_whole import FAULTS_WHOLE
from faults_worth import FAULTS_WORTH

from faults import FAULTS as FIRST

FAULTS: list[Fault] = [
    *FIRST,
    *FAULTS_MASS,
    *FAULTS_GRAPHS,
    *FAULTS_WORTH,
    *FAULTS_WARNINGS,
    *FAULTS_FAITH,
    *FAULTS_WHOLE,
    *FAULTS_PAGE,
    *FAULTS_FIND,
    *FAULTS_MOMENTS,
    *FAULTS_MOMENT_SCORES,
    *FAULTS_TEXT_LINE,
    *FAULTS_RETRIEVAL,
    *FAULTS_INDEX,
    *FAULTS_RECOMMEND,
    *FAULTS_CAPTIONS,
    *FAULTS_POOLED,
    *FAULTS_ROWS,
    *FAULTS_SPEED,
    *FAULTS_MANY,
    *FAULTS_EXPERTS,
]
