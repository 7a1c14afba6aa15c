"""Which records come when: (plan, step) -> record numbers."""

from artifex.data.plan.order import Order as Order
from artifex.data.plan.plan import Plan as Plan
