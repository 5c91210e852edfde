"""Makes a tiny Coqui voice: a real VITS model with two speakers and random weights, about 2.5 MB.

It babbles instead of speaking, but is loaded and run by the same code as a trained voice:
`python tiny_voice.py FOLDER`, then `python server.py --model FOLDER`.
"""

import argparse
from pathlib import Path

import torch
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits

RATE_HZ = 16_000
HOP = 256
SPEAKERS = ("anna", "ben")


def write_voice(folder: Path) -> None:
    """Writes `model.pth`, `config.json` and `speakers.pth` into `folder`, the same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    speakers = folder / "speakers.pth"
    torch.save({name: number for number, name in enumerate(SPEAKERS)}, speakers)
    torch.manual_seed(1)
    config = _config(speakers)
    model = Vits(config)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))


def _config(speakers: Path) -> VitsConfig:
    width = 32
    args = VitsArgs(
        hidden_channels=width,
        hidden_channels_ffn_text_encoder=2 * width,
        num_layers_text_encoder=2,
        num_layers_posterior_encoder=2,
        num_layers_flow=2,
        upsample_initial_channel_decoder=2 * width,
        upsample_rates_decoder=[8, 8, 4],
        upsample_kernel_sizes_decoder=[16, 16, 8],
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3, 5]],
        use_sdp=False,
        init_discriminator=False,
        use_speaker_embedding=True,
        speakers_file=str(speakers),
        speaker_embedding_channels=width,
    )
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return VitsConfig(
        model_args=args,
        audio=BaseAudioConfig(sample_rate=RATE_HZ, hop_length=HOP, win_length=4 * HOP, fft_size=4 * HOP),
        characters=CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad="_",
            eos="",
            bos="",
            blank="<BLNK>",
            characters=letters,
            punctuations="!'(),-.:;? ",
            phonemes="",
        ),
        text_cleaner="basic_cleaners",
        use_phonemes=False,
        test_sentences=[],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write_voice(parser.parse_args().folder.resolve())
