"""From light to pixels: what lens, sensor and processor of an ordinary camera do to a rendered picture.

The signal is linear, 1 where the sensor clips. A pixel that clips holds `full_well_e / gain` electrons, so photon noise
has the variance a x with a = gain / full_well_e, and reading adds (read_noise_e a)². Noise is added to v = sqrt(x + c),
c = read_noise_e² a, in which it has the same strength everywhere, sqrt(a) / 2 (Anscombe 1948); x = v² - c - a / 4 has
then exactly that mean and variance.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import InputError

CODES = 4096
"""Steps of v in the tone table; a step is at most a tenth of one of the 256 output values."""
TILE_EXTRA = 160
"""Pixels by which the stored noise is larger than a picture, so that each picture can take another part of it."""
THREE_TAPS_UP_TO_PX = 1.2
"""A Gaussian this narrow, sampled at pixels, would have too small a variance."""
GAUSSIAN_UP_TO_PX = 2.0
"""A smaller disc of confusion cannot be told from a Gaussian of the same variance."""
BLUR_LEVELS_PX = (0.0, 1.0, 2.0, 4.0, 8.0)
BLOOM_STEP = 8
NEAREST_M = 0.05


class SensorConfig(Config):
    """One camera's rendition.

    exposure_ev: stops by which the picture is brighter than the scene's own light, all told. gain: the part of that
    brightness that is amplified, not light: more gain, same picture, more noise. white_balance: factors on R, G, B.
    vignetting: share of light lost in the corners. blur_radius_px: disc of confusion of the lens at its best.
    focus_m, far_blur_px: distance in focus (None: everything is) and the added radius for things infinitely far away;
    it is far_blur_px |1 - focus_m / depth|. bloom: share of light that spreads bloom_px around. chroma_noise: share of
    the noise that is blotches of colour. fixed_pattern: standard deviation of the pixels' own sensitivity. drift_ev,
    drift_frames: how far and how slowly the automatic exposure wanders. contrast: 0 plain sRGB, towards 1 an S-curve.
    rotation: degrees clockwise by which players must turn the stored pictures. mirrored: stored left for right.
    """

    exposure_ev: float = 0.0
    gain: float = Field(default=2.0, gt=0)
    full_well_e: float = Field(default=8000.0, gt=0)
    read_noise_e: float = Field(default=3.0, gt=0)
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignetting: float = Field(default=0.15, ge=0, lt=1)
    blur_radius_px: float = Field(default=1.0, ge=0)
    focus_m: float | None = Field(default=None, gt=0)
    far_blur_px: float = Field(default=2.0, ge=0)
    bloom: float = Field(default=0.03, ge=0, lt=1)
    bloom_px: float = Field(default=40.0, gt=0)
    chroma_noise: float = Field(default=0.15, ge=0, le=1)
    fixed_pattern: float = Field(default=0.0, ge=0)
    drift_ev: float = Field(default=0.0, ge=0)
    drift_frames: float = Field(default=240.0, gt=0)
    contrast: float = Field(default=0.2, ge=0, le=1)
    rotation: Literal[0, 90, 180, 270] = 0
    mirrored: bool = False


def sample_sensor(rng: np.random.Generator) -> SensorConfig:
    """A camera as one finds it: phones and webcams of different makers, automatic settings, indoor light."""
    warm = rng.normal(0, 0.06)
    return SensorConfig(
        exposure_ev=rng.uniform(-0.4, 0.4),
        gain=2 ** rng.uniform(0, 3),
        full_well_e=rng.uniform(6000, 12000),
        read_noise_e=rng.uniform(2, 5),
        white_balance=(1 + warm, 1.0, 1 - warm + rng.normal(0, 0.02)),
        vignetting=rng.uniform(0.02, 0.3),
        blur_radius_px=rng.uniform(0.7, 1.6),
        bloom=rng.uniform(0.01, 0.06),
        chroma_noise=rng.uniform(0.05, 0.3),
        fixed_pattern=rng.choice([0.0, 0.004]),
        drift_ev=rng.choice([0.0, 0.08]),
        drift_frames=rng.uniform(150, 500),
        contrast=rng.uniform(0.05, 0.4),
    )


class Sensor:
    """Develops the pictures of one camera. The same seed and frame index give the same pixels, in whatever order."""

    def __init__(self, image_size: tuple[int, int], config: SensorConfig | None = None, seed: int = 0) -> None:
        """image_size: (width, height) px of the picture that the lens draws, upright."""
        self.image_size = image_size
        self.config = config or SensorConfig()
        self._seed = seed
        rng = np.random.default_rng((seed, 0x5E5))
        self._scale = (CODES - 1) / np.sqrt(1 + self._dark)
        self._drift_phases = rng.uniform(0, 2 * np.pi, 2)
        self._gain_map = self._make_gain_map(rng)
        self._noise = self._make_noise(rng)
        self._tone = self._make_tone()

    @property
    def _amplified(self) -> float:
        """a: variance of photon noise per signal."""
        return self.config.gain / self.config.full_well_e

    @property
    def _dark(self) -> float:
        """c: signal whose photon noise is as strong as the noise of reading."""
        return self.config.read_noise_e**2 * self._amplified

    def exposure_ev(self, frame_index: int) -> float:
        """Stops of this frame, with the automatic exposure's wandering."""
        turns = 2 * np.pi * frame_index / self.config.drift_frames
        wander = np.sin(turns * np.array([1.0, 2.618]) + self._drift_phases) @ [0.7, 0.3]
        return self.config.exposure_ev + self.config.drift_ev * float(wander)

    def develop(
        self, linear: Float32[np.ndarray, "H W 3"], depth_m: Float32[np.ndarray, "H W"] | None, frame_index: int
    ) -> UInt8[np.ndarray, "h w 3"]:
        """RGB as stored. linear: light, 1 for white in full light. depth_m: along the axis, for the depth of field."""
        self._check(linear.shape)
        light = self._through_lens(linear, depth_m)
        signal = np.asarray(cv2.multiply(light, self._gain_map, dst=light, scale=2 ** self.exposure_ev(frame_index)))
        signal += np.float32(self._dark * self._scale**2)
        root = cv2.sqrt(signal, signal)
        codes = cv2.add(root, self._noise_of(frame_index), dtype=cv2.CV_16U)  # rounded, and 0 where negative
        return self._stored(np.take(self._tone, np.asarray(codes, dtype=np.uint16), mode="clip"))

    def _check(self, shape: tuple[int, ...]) -> None:
        width, height = self.image_size
        if shape != (height, width, 3):
            raise InputError(f"Sensor.develop got a picture of shape {shape}, expected ({height}, {width}, 3)")

    def _through_lens(
        self, linear: Float32[np.ndarray, "H W 3"], depth_m: Float32[np.ndarray, "H W"] | None
    ) -> Float32[np.ndarray, "H W 3"]:
        """A new picture, blurred as the lens does it."""
        config = self.config
        if depth_m is None or config.focus_m is None:
            light = blurred(linear, config.blur_radius_px)
        else:
            out_of_focus = np.abs(1 - config.focus_m / np.maximum(depth_m, NEAREST_M))
            light = _blurred_by_layers(linear, config.blur_radius_px + config.far_blur_px * out_of_focus)
        if not config.bloom:
            return light
        height, width = linear.shape[:2]
        coarse = (max(width // BLOOM_STEP, 1), max(height // BLOOM_STEP, 1))
        veil = cv2.resize(light, coarse, interpolation=cv2.INTER_AREA)
        veil = cv2.GaussianBlur(veil, (0, 0), config.bloom_px / BLOOM_STEP, borderType=cv2.BORDER_REPLICATE)
        veil = cv2.resize(veil, (width, height), interpolation=cv2.INTER_LINEAR)
        return cv2.addWeighted(light, 1 - config.bloom, veil, config.bloom, 0.0, dst=light)

    def _noise_of(self, frame_index: int) -> Float32[np.ndarray, "H W 3"]:
        width, height = self.image_size
        x, y = np.random.default_rng((self._seed, 0xF0, frame_index)).integers(0, TILE_EXTRA, 2)
        return self._noise[y : y + height, x : x + width]

    def _stored(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        if self.config.mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(np.rot90(image, self.config.rotation // 90))

    def _make_gain_map(self, rng: np.random.Generator) -> Float32[np.ndarray, "H W 3"]:
        """Vignetting, white balance and the pixels' sensitivity, in units of the tone table's codes squared."""
        width, height = self.image_size
        x, y = np.linspace(-1, 1, width) * width, np.linspace(-1, 1, height) * height
        radius2 = (x**2 + y[:, None] ** 2) / (width**2 + height**2)
        pixels = (1 - self.config.vignetting * radius2)[..., None] * np.array(self.config.white_balance)
        if self.config.fixed_pattern:
            pixels = pixels * (1 + self.config.fixed_pattern * rng.standard_normal(pixels.shape))
        return (pixels * self._scale**2).astype(np.float32)

    def _make_noise(self, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        """Noise in codes: grain that all channels share, each channel's own, and blotches of colour."""
        width, height = self.image_size
        shape = (height + TILE_EXTRA, width + TILE_EXTRA)
        blotches = cv2.GaussianBlur(rng.standard_normal((*shape, 3), dtype=np.float32), (0, 0), 2.0)
        blotches /= blotches.std()
        share = self.config.chroma_noise
        noise = np.sqrt(share) * blotches
        noise += np.sqrt((1 - share) * 0.6) * rng.standard_normal((*shape, 1), dtype=np.float32)
        noise += np.sqrt((1 - share) * 0.4) * rng.standard_normal((*shape, 3), dtype=np.float32)
        strength = self._scale * np.sqrt(self._amplified) / 2 * np.sqrt(self.config.white_balance)
        return (noise * strength).astype(np.float32)

    def _make_tone(self) -> UInt8[np.ndarray, "n"]:
        """Codes to 8 bits: back to the linear signal, S-curve, sRGB."""
        v = np.arange(CODES) / self._scale
        signal = np.clip(v**2 - self._dark - self._amplified / 4, 0, 1)
        shown = srgb_from_linear(signal)
        shown += self.config.contrast * (shown**2 * (3 - 2 * shown) - shown)
        return np.round(255 * shown).astype(np.uint8)


def srgb_from_linear(linear: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The transfer function of IEC 61966-2-1; linear in [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def blurred(image: Float32[np.ndarray, "*shape"], radius_px: float) -> Float32[np.ndarray, "*shape"]:
    """A copy, convolved with a disc; a small one as the Gaussian of the same variance, radius² / 4 each way."""
    if radius_px <= 0:
        return image.copy()
    if radius_px <= THREE_TAPS_UP_TO_PX:
        side = radius_px**2 / 8
        taps = np.array([side, 1 - 2 * side, side])
        return cv2.sepFilter2D(image, -1, taps, taps, borderType=cv2.BORDER_REPLICATE)
    if radius_px <= GAUSSIAN_UP_TO_PX:
        half = max(1, int(np.ceil(1.5 * radius_px)))
        side = 2 * half + 1
        return cv2.GaussianBlur(image, (side, side), radius_px / 2, borderType=cv2.BORDER_REPLICATE)
    return cv2.filter2D(image, -1, _disc(radius_px), borderType=cv2.BORDER_REPLICATE)


def _disc(radius_px: float) -> Float32[np.ndarray, "s s"]:
    """A disc with soft edges that sums to 1."""
    half = int(np.ceil(radius_px))
    offset = np.arange(-half, half + 1)
    disc = np.clip(radius_px + 0.5 - np.hypot(offset, offset[:, None]), 0, 1)
    return (disc / disc.sum()).astype(np.float32)


def _blurred_by_layers(
    image: Float32[np.ndarray, "H W 3"], radius_px: Float32[np.ndarray, "H W"]
) -> Float32[np.ndarray, "H W 3"]:
    """Each pixel between the two of a few blurred pictures whose radii are next to its own."""
    levels = np.array(BLUR_LEVELS_PX, dtype=np.float32)
    position = np.interp(radius_px, levels, np.arange(len(levels))).astype(np.float32)
    mixed = np.zeros_like(image)
    for number, level in enumerate(BLUR_LEVELS_PX):
        weight = np.maximum(0, 1 - np.abs(position - np.float32(number)))
        if weight.any():
            mixed += blurred(image, level) * weight[..., None]
    return mixed
