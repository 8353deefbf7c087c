"""Pictures of people, boards and furniture in a room, by casting rays on the CPU."""
