"""Several processes train one network: shared gradients, batches of their own, one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

HERE = Path(__file__).parent
CODE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import test_trainer
from pathlib import Path
from slowfast.training.processes import processes
from slowfast.training.trainer import Trainer

folder, task = Path(sys.argv[2]), test_trainer.Regression()
assert processes().num_processes == 2
Trainer(task, test_trainer.CONFIG, folder / "run").train()
weights = {name: value.tolist() for name, value in task.module.named_parameters()}
(folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps({"seen": task.seen, "weights": weights}))
"""


def test_two_processes_on_cpu_cores_train_one_network(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(CODE, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*launch, str(script), str(HERE), str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ranks = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert [rank["seen"] for rank in ranks] == [list(range(0, 24, 2)), list(range(1, 24, 2))]
    assert ranks[0]["weights"] == ranks[1]["weights"]
    last = tmp_path / "run/checkpoints/step-00000006"
    assert load_file(last / "weights.safetensors")["0.weight"].tolist() == ranks[0]["weights"]["0.weight"]
    assert len(json.loads((last / "state.json").read_text())["random"]) == 2
    assert len(list((tmp_path / "run/checkpoints").iterdir())) == 2
