"""The compact network: a small U-Net with Cellpose's outputs, 5 million parameters.

It reads one grey channel and answers, for each pixel, with the flow towards the centre of its
object and the logit of belonging to one (Stringer et al. 2021, Nature Methods 18:100-106), so that
Cellpose's own dynamics turn its output into masks. Blocks are residual (He et al. 2016, CVPR) and
the pooled feature vector is added back at the deepest level, in the place of Cellpose's style.
"""

import copy
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS = (48, 96, 192, 256)
FINE = 16
# The image is halved once for every level, so its sides must divide by this.
SIDE_MULTIPLE = 2 ** len(WIDTHS)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, inputs, Y, X) -> (N, outputs, Y, X)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = (
            nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        )
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Transform features, (N, inputs, Y, X) -> (N, outputs, Y, X)."""
        y = F.silu(self.bn1(self.conv1(x)))
        return F.silu(self.proj(x) + self.bn2(self.conv2(y)))


class CompactNet(nn.Module):
    """U-Net from a grey image to flows and a cell logit.

    Its U works at half the image's resolution, which costs a processor a quarter of what full
    resolution would; a thin branch at full resolution draws the outlines. Parameter names are
    those of the shipped weights and must not change.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, fine: int = FINE) -> None:
        """Build the network with random weights.

        Args:
            widths: channels of each level, from half the image's resolution down.
            fine: channels at full resolution.
        """
        super().__init__()
        first, deepest = widths[0], widths[-1]
        self.stem = nn.Conv2d(4, first, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(Block(above, here), Block(here, here))
            for above, here in zip(widths[:1] + widths, widths, strict=False)
        )
        self.context = nn.Sequential(
            nn.Linear(deepest, deepest), nn.SiLU(), nn.Linear(deepest, deepest)
        )
        self.up = nn.ModuleList(Block(below + here, here) for here, below in pairwise(widths))
        self.fine = nn.Conv2d(1, fine, 5, padding=2)
        self.expand = nn.Conv2d(first, 4 * fine, 1)
        self.mix = nn.Conv2d(2 * fine, fine, 3, padding=1)
        self.head = nn.Conv2d(fine, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict flows and cell logit.

        Args:
            x: (N, 1, Y, X), float, scaled so that an image's 1st and 99th percentiles are 0 and
                1 and its objects about 30 px wide; Y and X multiples of `SIDE_MULTIPLE`.

        Returns:
            (N, 3, Y, X): 5 x flow in y, 5 x flow in x, logit of being in an object.
        """
        coarse = F.pixel_shuffle(self.expand(self._at_half(F.pixel_unshuffle(x, 2))), 2)
        mixed = self.mix(torch.cat([coarse, F.silu(self.fine(x))], 1))
        predicted: Tensor = self.head(F.silu(mixed))
        return predicted

    def _at_half(self, x: Tensor) -> Tensor:
        """Run the U: (N, 4, Y/2, X/2) -> (N, widths[0], Y/2, X/2)."""
        x = self.stem(x)
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            x = blocks(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        x = x + self.context(x.mean((2, 3)))[:, :, None, None]
        for level in reversed(range(len(self.up))):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([x, skips[level]], 1))
        return x


def without_batch_norm(network: CompactNet) -> CompactNet:
    """Fold the batch normalisation into the convolutions before it, for predicting alone.

    Args:
        network: trained network; unchanged.

    Returns:
        A copy in evaluation mode that computes the same up to rounding, and faster.
    """
    folded = copy.deepcopy(network).eval()
    for block in folded.modules():
        if isinstance(block, Block):
            block.conv1, block.bn1 = _folded(block.conv1, block.bn1)
            block.conv2, block.bn2 = _folded(block.conv2, block.bn2)
    return folded


def _folded(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d | nn.Identity
) -> tuple[nn.Conv2d, nn.Identity]:
    if isinstance(norm, nn.Identity):
        return convolution, norm
    return fuse_conv_bn_eval(convolution, norm), nn.Identity()
