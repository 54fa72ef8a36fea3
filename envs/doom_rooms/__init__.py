"""DoomRooms: a different world of connected first-person rooms for every seed, on ViZDoom (extra ``doom``)."""
