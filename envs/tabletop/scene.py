"""The table as MuJoCo's XML, in metres, kilograms and seconds: one model for all arrangements.

x goes to the right of the picture, y away from the camera, z up. Cubes slide and turn on the table against dry
friction and never tip, so what is left alone stays where it is. The gripper is an upright rod that moves in the plane.
It holds what it touches by adhesion, as a suction or magnetic gripper does.
"""

from __future__ import annotations

CUBES = 3
HALF_EDGE = 0.035
HALF_TABLE = 0.24
"""From the middle of the table to its rim, which stops cubes and not the gripper."""
ROD_RADIUS = 0.018
REACH = 0.21
"""How far the rod's axis goes from the middle, each way."""
TIMESTEP = 0.008
TORQUE_ARM = 0.38 * 2 * HALF_EDGE
"""Mean distance of a square's points from its centre: dry friction by it is the torque that stops a turn."""

FRICTION_NEWTONS = 1.2
GRIP_NEWTONS = 20.0

SCENE = """
<mujoco model="tabletop">
  <option timestep="{timestep}" integrator="implicitfast"/>
  <visual>
    <global offwidth="{width}" offheight="{height}"/>
    <quality shadowsize="0" offsamples="0"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.25 0.25 0.25" specular="0 0 0"/>
  </visual>
  <worldbody>
    <light name="lamp" directional="true" pos="0 0 1" dir="0 0 -1" diffuse="0.5 0.5 0.5" specular="0 0 0"
           castshadow="false"/>
    <camera name="view" pos="0 -0.5 0.95" xyaxes="1 0 0 0 0.885 0.466" fovy="30"/>
    <geom name="floor" type="plane" size="3 3 0.1" pos="0 0 -0.1" contype="0" conaffinity="0"/>
    <geom name="table" type="box" size="{outer} {outer} 0.01" pos="0 0 -0.01" contype="0" conaffinity="0"/>
{rim}
    <body name="gripper" pos="0 0 0.046">
      <joint name="gripper x" type="slide" axis="1 0 0" damping="1"/>
      <joint name="gripper y" type="slide" axis="0 1 0" damping="1"/>
      <geom name="gripper" type="cylinder" size="{radius} 0.045" mass="0.3" friction="1 0.01 0.03" condim="6"
            priority="1" margin="0.004" gap="0.004" contype="2" conaffinity="0"/>
    </body>
{cubes}
  </worldbody>
  <actuator>
    <position joint="gripper x" kp="1200" kv="40" forcerange="-30 30"/>
    <position joint="gripper y" kp="1200" kv="40" forcerange="-30 30"/>
    <adhesion body="gripper" ctrlrange="0 1" gain="{grip}"/>
  </actuator>
</mujoco>
"""

CUBE = """
    <body name="{name}" pos="0 0 {height}">
      <joint type="slide" axis="1 0 0" frictionloss="{friction}" damping="0.5"/>
      <joint type="slide" axis="0 1 0" frictionloss="{friction}" damping="0.5"/>
      <joint type="hinge" axis="0 0 1" frictionloss="{torque}" damping="0.005"/>
      <geom name="{name}" type="box" size="{half} {half} {half}" mass="0.2" friction="0.5" contype="1" conaffinity="3"/>
    </body>"""

RIM = '    <geom name="rim {side}" type="box" size="{size} 0.012" pos="{place} 0.012" contype="1" conaffinity="1"/>'


def scene_xml(height: int, width: int) -> str:
    """The model, with an offscreen picture of ``height`` x ``width`` pixels. Joints in their order: the gripper's x
    and y, then each cube's x, y and angle (radians); all are 0 in the middle of the table."""
    inner, outer = HALF_TABLE, HALF_TABLE + 0.02
    middle = HALF_TABLE + 0.01
    rim = [
        RIM.format(side="left", size=f"0.01 {outer}", place=f"{-middle} 0"),
        RIM.format(side="right", size=f"0.01 {outer}", place=f"{middle} 0"),
        RIM.format(side="near", size=f"{inner} 0.01", place=f"0 {-middle}"),
        RIM.format(side="far", size=f"{inner} 0.01", place=f"0 {middle}"),
    ]
    cubes = [
        CUBE.format(
            name=f"cube {index}",
            height=HALF_EDGE + 0.001,
            half=HALF_EDGE,
            friction=FRICTION_NEWTONS,
            torque=round(FRICTION_NEWTONS * TORQUE_ARM, 5),
        )
        for index in range(CUBES)
    ]
    return SCENE.format(
        timestep=TIMESTEP,
        width=width,
        height=height,
        outer=outer,
        rim="\n".join(rim),
        radius=ROD_RADIUS,
        cubes="\n".join(cubes),
        grip=GRIP_NEWTONS,
    )
