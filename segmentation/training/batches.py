"""Crops for training, drawn at random and changed as images of cells differ from each other.

All images lie in one flat tensor on the device that trains, whatever their sizes, and a batch is
read from it by index: turned, mirrored, stretched and scaled to the network's diameter in one
step. Flows are read with the weights of pixels of the same object alone, so that where objects
touch their flows, which point apart, are not averaged. Every random number comes from one
generator, so that a batch is known by its seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from segmentation.training.samples import Sample

# Objects have this diameter in the images that the networks learn from, as in Cellpose.
NETWORK_DIAMETER_PX = 30.0
# Share of a crop's half side that is kept inside its image, where the image is that large.
_KEPT_INSIDE = 0.8


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much crops are changed. Ranges are symmetric and drawn evenly unless said otherwise.

    Attributes:
        scale: natural logarithm of the largest change of size, for `near` of the crops.
        scale_far: the same for the other crops.
        near: share of crops with the smaller change of size.
        stretch: logarithm of the largest ratio of the sides.
        gamma: logarithm of the largest exponent of grey values.
        uneven: largest change of brightness across a crop, as a share.
        blur_px: largest standard deviation of a blur, in a third of the crops.
        noise: largest standard deviation of the noise, grey values reaching from 0 to 1.
        invert: share of crops with dark and bright exchanged, where a sample allows it.
        contrast: logarithm of the largest change of contrast.
        offset: largest shift of the grey values.
        renormalise: share of crops scaled by their own percentiles, not by their image's.
        mirror_edges: share of crops that see images continued by mirroring rather than black.
        upright: share of crops turned by quarters alone, their images' edges upright as when
            an image is segmented.
    """

    scale: float = 0.25
    scale_far: float = 0.8
    near: float = 0.6
    stretch: float = 0.1
    gamma: float = 0.45
    uneven: float = 0.5
    blur_px: float = 2.0
    noise: float = 0.08
    invert: float = 0.1
    contrast: float = 0.3
    offset: float = 0.1
    renormalise: float = 0.3
    mirror_edges: float = 0.3
    upright: float = 0.4


@dataclass(frozen=True, slots=True)
class Pool:
    """Samples on a device.

    Attributes:
        image: (pixels of all samples,) float16.
        labels: (pixels,) int16 or int32.
        flows: (pixels, 2) float16.
        start: (samples,) int64, first pixel of each.
        height: (samples,) int64.
        width: (samples,) int64.
        diameter: (samples,) float32, px.
        weight: (samples,) float32, chance of being drawn.
    """

    image: Tensor
    labels: Tensor
    flows: Tensor
    start: Tensor
    height: Tensor
    width: Tensor
    diameter: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops and what is to be predicted.

    Attributes:
        image: (N, 1, Y, X) float32.
        flows: (N, 2, Y, X) float32, unit vectors or 0.
        inside: (N, 1, Y, X) float32, 1 in objects.
        counts: (N, 1, Y, X) float32, 1 where the loss counts: inside the image, not ignored.
    """

    image: Tensor
    flows: Tensor
    inside: Tensor
    counts: Tensor


def make_pool(
    samples: Sequence[Sample], device: torch.device, weights: Sequence[float] | None = None
) -> Pool:
    """Put samples on a device.

    Args:
        samples: with known diameters.
        device: where training runs.
        weights: factors of each sample's chance of being drawn, which otherwise grows with the
            square root of its number of objects, from 5 to 100.
    """
    many = [math.sqrt(min(max(sample.n_objects, 5), 100)) for sample in samples]
    factors = [1.0] * len(samples) if weights is None else list(weights)
    sizes = torch.tensor([sample.image.size for sample in samples])
    large = max(sample.n_objects for sample in samples) >= 2**15
    label_type = torch.int32 if large else torch.int16
    return Pool(
        image=torch.cat([torch.from_numpy(s.image).flatten() for s in samples]).to(device),
        labels=torch.cat([torch.from_numpy(s.labels).flatten().to(label_type) for s in samples]).to(
            device
        ),
        flows=torch.cat([torch.from_numpy(s.flows).flatten(1).T for s in samples]).to(device),
        start=(torch.cumsum(sizes, 0) - sizes).to(device),
        height=torch.tensor([s.image.shape[0] for s in samples], device=device),
        width=torch.tensor([s.image.shape[1] for s in samples], device=device),
        diameter=torch.tensor([s.diameter_px for s in samples], dtype=torch.float32, device=device),
        weight=torch.tensor(
            [a * b for a, b in zip(many, factors, strict=True)], dtype=torch.float32, device=device
        ),
    )


def draw_batch(
    pool: Pool, n: int, side: int, augmentation: Augmentation, generator: torch.Generator
) -> Batch:
    """Draw crops at random.

    Args:
        pool: from `make_pool`.
        n: crops.
        side: of a crop in px of the network.
        augmentation: how crops are changed.
        generator: source of all chance, on the pool's device.
    """
    chosen = torch.multinomial(pool.weight, n, replacement=True, generator=generator)
    chance = _Chance(n, pool.image.device, generator)
    place = _place(pool, chosen, side, augmentation, chance)
    flows, labels = _read_flows(pool, place)
    return Batch(
        image=_grey_values(_read_image(pool, place), augmentation, chance),
        flows=flows,
        inside=(labels > 0).float()[:, None],
        counts=(place.within & (labels >= 0)).float()[:, None],
    )


class _Chance:
    """Random numbers of one batch: a value a crop, shaped (N, 1, 1)."""

    def __init__(self, n: int, device: torch.device, generator: torch.Generator) -> None:
        self.shape = (n, 1, 1)
        self.device = device
        self.generator = generator

    def between(self, low: float, high: float) -> Tensor:
        """Draw evenly from a range."""
        even = torch.rand(self.shape, device=self.device, generator=self.generator)
        return low + (high - low) * even

    def happens(self, share: float) -> Tensor:
        """Draw true for a share of the crops."""
        return self.between(0.0, 1.0) < share

    def normal_like(self, x: Tensor) -> Tensor:
        """Draw standard normal noise for every pixel."""
        return torch.randn(x.shape, device=self.device, generator=self.generator)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the pixels of crops lie in their images; all (N, Y, X) unless said otherwise.

    Attributes:
        start: (N, 1, 1) first pixel of the image in the pool.
        height: (N, 1, 1) of the image.
        width: (N, 1, 1) of the image.
        y: row in the image, a fraction, possibly outside.
        x: column.
        within: whether that is inside the image.
        black: (N, 1, 1) whether the crop sees black outside, rather than a mirror image.
        turn: (N, 2, 2) takes vectors of the image to those of the crop.
    """

    start: Tensor
    height: Tensor
    width: Tensor
    y: Tensor
    x: Tensor
    within: Tensor
    black: Tensor
    turn: Tensor


def _place(
    pool: Pool, chosen: Tensor, side: int, augmentation: Augmentation, chance: _Chance
) -> _Place:
    """Choose a place, an angle and a size for each crop."""
    device = pool.image.device
    height, width = (size[chosen][:, None, None] for size in (pool.height, pool.width))
    # Image to crop: out = M (in - centre), M = mirror . turn . stretch . scale.
    matrix = _matrix(pool.diameter[chosen][:, None, None], augmentation, chance)
    back = torch.linalg.inv(matrix)
    steps = torch.arange(side, device=device) - (side - 1) / 2
    oy, ox = torch.meshgrid(steps, steps, indexing="ij")
    reach = side / 2 * _KEPT_INSIDE * pool.diameter[chosen][:, None, None] / NETWORK_DIAMETER_PX
    y = _centre(height, reach, chance)
    x = _centre(width, reach, chance)
    y = y + back[:, 0, 0, None, None] * oy + back[:, 0, 1, None, None] * ox
    x = x + back[:, 1, 0, None, None] * oy + back[:, 1, 1, None, None] * ox
    within = (y >= -0.5) & (y < height - 0.5) & (x >= -0.5) & (x < width - 0.5)
    start = pool.start[chosen][:, None, None]
    black = ~chance.happens(augmentation.mirror_edges)
    # A gradient turns with the inverse transpose of what its image turns with.
    return _Place(start, height, width, y, x, within, black, back.transpose(1, 2))


def _centre(length: Tensor, reach: Tensor, chance: _Chance) -> Tensor:
    """Choose the middle of a crop so that most of it lies inside its image."""
    rim = torch.minimum(reach, length / 2)
    return rim + chance.between(0, 1) * (length - 2 * rim) - 0.5


def _matrix(diameter: Tensor, augmentation: Augmentation, chance: _Chance) -> Tensor:
    far = chance.between(-augmentation.scale_far, augmentation.scale_far)
    near = chance.between(-augmentation.scale, augmentation.scale)
    size = torch.where(chance.happens(augmentation.near), near, far)
    scale = NETWORK_DIAMETER_PX / diameter * torch.exp(size)
    half = torch.exp(chance.between(-augmentation.stretch, augmentation.stretch) / 2)
    upright = chance.happens(augmentation.upright)
    first, second = (_angle(upright, chance) for _ in range(2))
    mirror = torch.where(chance.happens(0.5), -1.0, 1.0)
    stretch = torch.zeros(len(diameter), 2, 2, device=diameter.device)
    stretch[:, 0, 0] = (scale * half)[:, 0, 0]
    stretch[:, 1, 1] = (scale / half * mirror)[:, 0, 0]
    return _turn(first) @ stretch @ _turn(second)


def _angle(upright: Tensor, chance: _Chance) -> Tensor:
    quarters = chance.between(0, 4)
    return torch.where(upright, quarters.floor(), quarters) * (math.pi / 2)


def _turn(angle: Tensor) -> Tensor:
    cos, sin = torch.cos(angle)[:, 0, 0], torch.sin(angle)[:, 0, 0]
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def _read_image(pool: Pool, place: _Place) -> Tensor:
    """Read grey values between pixels, continued by mirroring or by black."""
    total = torch.zeros_like(place.y)
    for y, x, share in _corners(_mirrored(place.y, place.height), _mirrored(place.x, place.width)):
        total += share * pool.image[_index(place, y, x)].float()
    return torch.where(place.within | ~place.black, total, 0.0)


def _read_flows(pool: Pool, place: _Place) -> tuple[Tensor, Tensor]:
    """Read flows (N, 2, Y, X) of the crop's axes, and labels (N, Y, X), 0 outside the image."""
    nearest = pool.labels[_index(place, place.y.round(), place.x.round())]
    labels = torch.where(place.within, nearest, 0)
    total = torch.zeros(*place.y.shape, 2, device=place.y.device)
    for y, x, share in _corners(place.y, place.x):
        index = _index(place, y, x)
        same = share * (pool.labels[index] == labels)
        total += same[..., None] * pool.flows[index].float()
    turned = torch.einsum("nij,nyxj->niyx", place.turn, total * (labels > 0)[..., None])
    length = turned.norm(dim=1, keepdim=True)
    return turned / length.clamp(min=1e-12) * (length > 1e-12), labels


def _corners(y: Tensor, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The four pixels around each place, and their shares in bilinear interpolation."""
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    return [
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    ]


def _index(place: _Place, y: Tensor, x: Tensor) -> Tensor:
    """Position in the pool of whole coordinates, those outside moved to the image's rim."""
    row = torch.minimum(y.long().clamp(min=0), place.height - 1)
    column = torch.minimum(x.long().clamp(min=0), place.width - 1)
    return place.start + row * place.width + column


def _mirrored(at: Tensor, length: Tensor) -> Tensor:
    """Fold coordinates back into an image that is mirrored at its rim, again and again."""
    folded = torch.remainder(at + 0.5, 2 * length)
    return torch.minimum(folded, 2 * length - folded) - 0.5


def _grey_values(image: Tensor, augmentation: Augmentation, chance: _Chance) -> Tensor:
    """Change brightness, focus and noise of (N, Y, X) crops; returns (N, 1, Y, X)."""
    x = _invert(image, augmentation, chance)
    x = x.clamp(min=0) ** torch.exp(chance.between(-augmentation.gamma, augmentation.gamma))
    x = _light(x, augmentation, chance)
    x = _blur(x, augmentation, chance)
    grain = chance.normal_like(x) * chance.between(0, augmentation.noise)
    shot = chance.normal_like(x) * x.clamp(min=0).sqrt() * chance.between(0, augmentation.noise)
    x = torch.where(chance.happens(0.6), x + grain + shot, x)
    x = _renormalise(x, chance.happens(augmentation.renormalise))
    contrast = torch.exp(chance.between(-augmentation.contrast, augmentation.contrast))
    x = x * contrast + chance.between(-augmentation.offset, augmentation.offset)
    return x[:, None]


def _invert(x: Tensor, augmentation: Augmentation, chance: _Chance) -> Tensor:
    return torch.where(chance.happens(augmentation.invert), 1 - x, x)


def _light(x: Tensor, augmentation: Augmentation, chance: _Chance) -> Tensor:
    """Let brightness change across the crop, in half of the crops."""
    side = x.shape[-1]
    steps = torch.linspace(-0.5, 0.5, side, device=x.device)
    angle = chance.between(0, 2 * math.pi)
    slope = torch.cos(angle) * steps[None, :, None] + torch.sin(angle) * steps[None, None, :]
    changed = x * (1 + chance.between(0, augmentation.uneven) * slope)
    hazy = changed + chance.between(0, 0.2) * (slope + 0.5)
    return torch.where(chance.happens(0.5), hazy, x)


def _blur(x: Tensor, augmentation: Augmentation, chance: _Chance) -> Tensor:
    """Blur a third of the crops, each by a width of its own."""
    reach = math.ceil(2.5 * augmentation.blur_px)
    at = torch.arange(-reach, reach + 1, device=x.device)
    width = chance.between(0.2, max(augmentation.blur_px, 0.2))
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = torch.where(chance.happens(1 / 3), kernel, (at == 0).float())
    kernel = (kernel / kernel.sum(-1, keepdim=True))[:, 0]
    n = len(x)
    padded = F.pad(x[None], (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=n)
    return F.conv2d(rows, kernel[:, None, None, :], groups=n)[0]


def _renormalise(x: Tensor, chosen: Tensor) -> Tensor:
    """Scale the chosen crops by their own 1st and 99th percentile."""
    ends = torch.quantile(x.flatten(1)[:, ::7], torch.tensor([0.01, 0.99], device=x.device), dim=1)
    low, high = (end[:, None, None] for end in ends)
    return torch.where(chosen, (x - low) / (high - low).clamp(min=0.05), x)
