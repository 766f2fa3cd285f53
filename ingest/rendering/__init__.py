"""A rendered conveyor: seeded pictures of metal parts on a belt, with the exact pixels of every defect."""
