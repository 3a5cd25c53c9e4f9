-- Nothing: the number of a migration made at the same time as the next one. It takes this file's place.
RESET ROLE;
