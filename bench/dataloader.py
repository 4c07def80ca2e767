"""The workload that counts: a PyTorch DataLoader over many image-sized files, cold, in epochs."""

import os
import random

from workloads import Workload, drop_caches, timed

WORKERS = 2


def write_images(directory, scale):
    """Files of the sizes that ImageNet has (median 110 KiB), in ten class folders."""
    generator = random.Random(4)
    noise = generator.randbytes(1 << 20)
    for number in range(scale.images):
        folder = os.path.join(directory, f"class-{number % 10}")
        os.makedirs(folder, exist_ok=True)
        size = min(1 << 20, max(4000, int(generator.lognormvariate(11.6, 0.5))))
        with open(os.path.join(folder, f"{number}.bin"), "wb") as file:
            file.write(noise[:size])


def samples(directory, scale):
    import torch.utils.data

    class Files(torch.utils.data.Dataset):
        def __init__(self):
            self.paths = [os.path.join(folder, name) for folder, _, names in os.walk(directory)
                          for name in names]

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, index):
            with open(self.paths[index], "rb") as file:
                return len(file.read())

    write_images(directory, scale)
    loader = torch.utils.data.DataLoader(Files(), batch_size=32, shuffle=True, num_workers=WORKERS)
    drop_caches()
    return scale.images / timed(lambda: [batch for batch in loader])


def available():
    """The workload, when this Python has PyTorch."""
    try:
        import torch.utils.data  # noqa: F401
    except ImportError:
        return []
    return [Workload("DataLoader, cold", "samples/s", f"{WORKERS} workers read whole image-sized files",
                     samples)]
