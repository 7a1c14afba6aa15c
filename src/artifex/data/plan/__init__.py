"""Which records come when: (plan, step) -> record numbers."""

from artifex.data.plan.arrange import Arranged as Arranged
from artifex.data.plan.arrange import arrange as arrange
from artifex.data.plan.arrange import last_batch as last_batch
from artifex.data.plan.arrangement import Arrangement as Arrangement
from artifex.data.plan.arrangement import Drawn as Drawn
from artifex.data.plan.arrangement import Kept as Kept
from artifex.data.plan.arrangement import Listed as Listed
from artifex.data.plan.arrangement import Mixed as Mixed
from artifex.data.plan.arrangement import Repeated as Repeated
from artifex.data.plan.balanced import Balanced as Balanced
from artifex.data.plan.bucketed import Bucketed as Bucketed
from artifex.data.plan.plan import LastBatch as LastBatch
from artifex.data.plan.plan import Plan as Plan
from artifex.data.plan.plan import Rows as Rows
