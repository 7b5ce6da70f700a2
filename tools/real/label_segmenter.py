"""A small U-Net that segments T1 of a real patient: trained on simulated, on synthetic and on real T1 of others."""
import sys, time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.networks.nets import BasicUNet
from torch.nn import functional as F

STEPS, BATCH, SIDE, RATE = 150, 4, 128, 3e-3
NAMES = {1: "fluid", 2: "white", 3: "grey", 4: "lesion"}
TABLE = np.full(10, 255); TABLE[[0, 1, 2, 3, 8]] = [0, 1, 2, 3, 4]

read = lambda path: np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, np.float32)

def case(image, labels):
    values, truth = read(image), read(labels).astype(int)
    head = truth > 0
    z = np.where(head, (values - values[head].mean()) / values[head].std(), -4)
    return z.astype(np.float32), TABLE[truth]

def trained(cases, seed=0):
    torch.manual_seed(seed); rng = np.random.default_rng(seed)
    net = BasicUNet(2, 1, 5, (16, 16, 32, 64, 128, 16), norm="batch")
    opt = torch.optim.Adam(net.parameters(), RATE)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, RATE, STEPS)
    slices = [(n, k) for n, (z, t) in enumerate(cases) for k in range(z.shape[2]) if (z[:, :, k] > -4).mean() > 0.05]
    rich = [(n, k) for n, k in slices if (cases[n][1][:, :, k] == 4).sum() > 20] or slices
    weights = torch.tensor([0.5, 1.0, 1.0, 1.0, 2.0])
    for _ in range(STEPS):
        xs, ts = [], []
        for b in range(BATCH):
            pool = rich if b % 2 else slices
            n, k = pool[rng.integers(len(pool))]
            z, t = cases[n][0][:, :, k], cases[n][1][:, :, k]
            inside = np.argwhere(z > -4)
            place = inside[rng.integers(len(inside))] - SIDE // 2
            low = np.clip(place, 0, np.array(z.shape) - SIDE)
            cut = np.s_[low[0]:low[0] + SIDE, low[1]:low[1] + SIDE]
            x, u = z[cut], t[cut]
            if rng.random() < 0.5: x, u = x[::-1], u[::-1]
            x = np.where(x > -4, x * rng.uniform(0.8, 1.2) + rng.uniform(-0.2, 0.2), x) + rng.uniform(0, 0.1) * rng.standard_normal(x.shape)
            xs.append(x.astype(np.float32)); ts.append(u.copy())
        loss = F.cross_entropy(net(torch.from_numpy(np.stack(xs))[:, None]), torch.from_numpy(np.stack(ts)), weights, ignore_index=255)
        opt.zero_grad(); loss.backward(); opt.step(); plan.step()
    return net.eval(), float(loss)

def scores(net, z, truth):
    pad = [-side % 16 for side in z.shape[:2]]
    x = F.pad(torch.from_numpy(z).movedim(2, 0)[:, None], (0, pad[1], 0, pad[0]), value=-4)
    with torch.inference_mode():
        made = torch.cat([net(part)[:, 1:].argmax(1) + 1 for part in x.split(8)]).movedim(0, 2).numpy()[:z.shape[0], :z.shape[1]]
    made = np.where(z > -4, made, 0)
    return {name: round(float(2 * ((made == k) & (truth == k)).sum() / max(1, (made == k).sum() + (truth == k).sum())), 3) for k, name in NAMES.items()}

if __name__ == "__main__":
    real, heads, synthetic, patient = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    judged = case(real / patient / "mr.nii.gz", real / patient / "labels.nii.gz")
    others = [p for p in sorted(real.glob("patient*")) if p.name != patient]
    folders = sorted(heads.glob("phantom_*"))
    sets = {
        "simulation": [case(f / "mr.nii.gz", f / "labels.nii.gz") for f in folders],
        "synthetic": [case(synthetic / f"{f.name}_synthetic_mr.nii.gz", f / "labels.nii.gz") for f in folders],
        "two real": [case(f / "mr.nii.gz", f / "labels.nii.gz") for f in others],
    }
    for name, cases in list(sets.items())[: int(sys.argv[6]) if len(sys.argv) > 6 else 3]:
        t = time.process_time()
        for seed in map(int, sys.argv[5].split(",")):
            net, loss = trained(cases, seed)
            print(patient, name, "seed", seed, scores(net, *judged), f"loss {loss:.3f}", f"{time.process_time() - t:.0f} s", flush=True)
