"""The linear strategy, by mitogen where it is installed: the same tasks in the same order at a fifth of the time.

`ANSIBLE_STRATEGY=linear` runs without it.
"""

from __future__ import annotations

DOCUMENTATION = """
name: devices
short_description: linear, over mitogen where it is installed
description: Runs each task on all devices before the next one.
author: jinbao
"""

try:
    from ansible_mitogen.loaders import strategy_loader
    from ansible_mitogen.strategy import StrategyMixin

    linear = strategy_loader.get("linear", class_only=True)

    class StrategyModule(StrategyMixin, linear):  # type: ignore[misc, valid-type]
        """The linear strategy over mitogen's connections."""

except ImportError:
    from ansible.plugins.strategy.linear import StrategyModule  # type: ignore[no-redef] # noqa: F401
