"""The warehouse in memory: an oracle for the others, and a warehouse for trials that leave nothing behind."""

from adapters.warehouses.memory.warehouse import MemoryWarehouse, build

__all__ = ["MemoryWarehouse", "build"]
