"""All planted faults: one table a part, joined here."""

from fault import Fault
from faults_faith import FAULTS_FAITH
from faults_graphs import FAULTS_GRAPHS
from faults_mass import FAULTS_MASS
from faults_page import FAULTS_PAGE
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
]
