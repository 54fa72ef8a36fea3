"""Tabletop: cubes that a gripper pushes and pulls about a table, with goals in words, on MuJoCo (extra ``mujoco``)."""
