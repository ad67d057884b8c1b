"""The table of mistakes: command lines, the files that they are given, and what the one line says."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image
from safetensors.numpy import save

Files = dict[str, str | bytes]


class Mistake(NamedTuple):
    """A command line, what the line must say, and files in the folder; a name that ends in / is an empty folder."""

    command: str
    said: str
    files: Files = {}  # noqa: RUF012  # never changed


def picture(kind: str = "PNG", side: int = 16) -> bytes:
    """A small picture without a recipe."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "white").save(buffer, kind)
    return buffer.getvalue()


def huge_picture() -> bytes:
    """A PNG whose header promises 100,000 x 100,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def tensors(**values: tuple[int, ...]) -> bytes:
    """A safetensors file with tensors of these shapes."""
    file: bytes = save({name: np.ones(shape, np.float32) for name, shape in values.items()})
    return file


def index_of(pipeline: str) -> str:
    """A model_index.json."""
    return json.dumps({"_class_name": pipeline, "_diffusers_version": "0.30.0"})


PNG, JPEG = picture(), picture("JPEG")
TORN, TORN_JPEG = picture(side=64)[:-30], picture("JPEG", 200)[:-200]
PICKLE = b"\x80\x02}q\x00X\x01\x00\x00\x00xq\x01K\x01s."
HTML = "<!DOCTYPE html><html><body>404 Not Found</body></html>"
LONG = struct.pack("<Q", 1 << 40) + b"{}"  # a header longer than the file
NO_JSON = struct.pack("<Q", 4) + b"{{{{"
STUDY = "base: {steps: 2}\naxes: {guidance.cfg.scale: [1, 4]}\nseeds: 2\n"
EMOJI = '{"file_name": "a.png", "object": "cat", "style": "noto", "split": "test"}\n'
NOT_HERE = "No such file"
DRAW = "generate 'a cat'"

COMMAND_LINE = [
    Mistake("generat 'a cat'", "Did you mean 'generate'?"),
    Mistake("--versoin", "No such option: --versoin"),
    Mistake("generate", "nothing to do: give a prompt in quotes, or --prompts-file FILE"),
    Mistake(f"{DRAW} --negative", "--negative"),
    Mistake(f"{DRAW} --seed 1.5", "--seed"),
    Mistake(f"{DRAW} --seed 99999999999999999999", "seed must be a whole number from 0 to"),
    Mistake(f"{DRAW} --steps 2.5", "--steps"),
    Mistake(f"{DRAW} --steps 2001", "steps must be a whole number from 1 to 2000, got 2001"),
    Mistake(f"{DRAW} --size 128", "size must be WIDTHxHEIGHT in pixels, such as 128x128, got '128'"),
    Mistake(f"{DRAW} --size 0x0", "width must be a whole number divisible by 8 from 64 to 2048, got 0"),
    Mistake(f"{DRAW} --size -8x8", "size must be WIDTHxHEIGHT"),
    Mistake(f"{DRAW} --sampler DPM++", "sampler 'DPM++' is unknown"),
    Mistake(f"{DRAW} --spacing quadratic", "spacing"),
    Mistake(f"{DRAW} --guidance 'cfg(4'", "guidance"),
    Mistake(f"{DRAW} --guidance 'cfg(4) +'", "guidance"),
    Mistake(f"{DRAW} --guidance 'cfg(4, begin=0.5)'", "cfg has no 'begin'; it takes scale, start, stop"),
    Mistake(f"{DRAW} --guidance 'cfg(4, start=2)'", "start"),
    Mistake(f"{DRAW} --guidance 'clip()'", "clip"),
    Mistake(f"{DRAW} --guidance 'color(\"redd\", 10)'", "redd"),
    Mistake(f"{DRAW} --guidance 'colour(\"#ff0000\", 10)'", "did you mean 'color'?"),
    Mistake(f"{DRAW} --cfg high", "high"),
    Mistake(f"{DRAW} --encoder 2*", "encoder"),
    Mistake(f"{DRAW} --encoder 100*clip", "a weight is from -10 to 10"),
    Mistake(f"{DRAW} --precision fp8", "precision"),
    Mistake(f"{DRAW} --dtype int4", "precision"),
    Mistake(f"{DRAW} --start 10/25", "--start goes with --init PICTURE"),
    Mistake(f"{DRAW} --mask m.png", "--mask goes with --init PICTURE", {"m.png": PNG}),
    Mistake(f"{DRAW} --out taken", "taken is a file", {"taken": "x"}),
    Mistake(f"{DRAW} --out taken/more", "taken is a file", {"taken": "x"}),
    Mistake(f"{DRAW} --out /proc/none", "cannot write into /proc/none"),
    Mistake(f"{DRAW} --model emogi", "did you mean 'emoji'?"),
    Mistake(f"{DRAW} --model clip", "no model 'clip'"),
    Mistake("compare", "Missing argument 'SETTING"),
    Mistake("compare steps", "write field=value, such as steps=40"),
    Mistake("compare stesp=3", "did you mean 'steps'?"),
    Mistake("compare steps=many", "steps is a number"),
    Mistake("compare steps=0", "steps must be a whole number from 1 to 2000, got 0"),
    Mistake("compare sampler=eulr", "did you mean 'euler'?"),
    Mistake("""compare 'prompt="a cat'""", "is not closed"),
    Mistake("compare steps=2 -n 0", "'-n'"),
    Mistake("compare steps=2 --out d", "cannot write d: it is a folder", {"d/": ""}),
    Mistake("compare steps=2 --model nosuch", "no model 'nosuch'"),
    Mistake("models nosuch", "mezzotint models nosuch --words"),
    Mistake("models emoji xyzzyx --words", "emoji knows no word with 'xyzzyx'"),
    Mistake("models faces --words", "faces draws without a prompt, so it lists no words"),
    Mistake("latents encode p.png", "--out", {"p.png": PNG}),
    Mistake("latents encode p.png --out z.png", "give 'z.png' the ending .safetensors", {"p.png": PNG}),
    Mistake("latents encode p.png --out z.safetensors --size 4x4", "size must be from 8x8", {"p.png": PNG}),
    Mistake("latents encode p.png --out z.safetensors --model nosuch", "no model 'nosuch'", {"p.png": PNG}),
    Mistake(
        "latents noise p.png --out n.png --step 15 --of 15", "step must be from 0 to 14 of 15", {"p.png": PNG}
    ),
    Mistake("latents noise p.png --out n.png --sampler lsm", "did you mean 'lms'?", {"p.png": PNG}),
    Mistake("latents noise p.png --out n.png --strip --sigma 1", "leave --sigma out", {"p.png": PNG}),
    Mistake("latents show p.png --out s.jpg", "give 's.jpg' the ending .png", {"p.png": PNG}),
    Mistake("latents compare emoji --data d", "no pictures in d: make them with"),
    Mistake("latents compare nosuch --data d", "nosuch", {"d/metadata.jsonl": EMOJI}),
    Mistake("eval --data d", "no pictures in d: make them with"),
    Mistake(
        "eval --data d",
        "is not a set of `mezzotint data emoji`",
        {"d/metadata.jsonl": '{"file_name": "a.png"}\n'},
    ),
    Mistake("eval --data d", "cannot read d/metadata.jsonl", {"d/metadata.jsonl": "{"}),
    Mistake("eval --out taken", "taken is a file", {"taken": "x"}),
    Mistake("eval --guidance 'cgf(5)'", "did you mean 'cfg'?"),
    Mistake("eval --steps 0", "steps must be a whole number from 1 to 2000, got 0"),
    Mistake("eval --encoder bort", "did you mean 'bert'?"),
    Mistake("eval --judge nosuch", "nosuch"),
    Mistake("eval --model nosuch", "no model 'nosuch'"),
    Mistake("eval --real", "--real goes with --blind DIR"),
    Mistake("eval --answers a.txt", "--answers goes with --blind DIR", {"a.txt": "1: a cat"}),
    Mistake("eval --blind b", "the blind sheet needs --data"),
    Mistake("eval --blind b --data d", "no pictures in d"),
    Mistake("eval --blind taken --data d", "taken is a file", {"taken": "x"}),
    Mistake("eval --blind b --answers a.txt", "cannot read the answers or their key"),
    Mistake("eval-steering --out taken", "taken is a file", {"taken": "x"}),
    Mistake("eval-steering --steps 0", "steps must be a whole number"),
    Mistake("eval-steering --seeds 1", "--seeds"),
    Mistake("eval-steering --model nosuch", "no model 'nosuch'"),
    Mistake("bench --out d", "cannot write d: it is a folder", {"d/": ""}),
    Mistake("bench --repeats 0", "repeats"),
    Mistake("bench --precision fp8", "precision"),
    Mistake("bench --model nosuch", "no model 'nosuch'"),
    Mistake("bench-sweep --model nosuch", "no model 'nosuch'"),
    Mistake("bench-steering --model nosuch", "no model 'nosuch'"),
    Mistake("bench-training --precision fp64", "precision"),
    Mistake("bench-training --out d", "it is a folder", {"d/": ""}),
    Mistake("paper --only guidance-scal", "did you mean 'guidance-scale'?"),
    Mistake("paper --skip fine-tunin", "did you mean 'fine-tuning'?"),
    Mistake("paper --seeds -1", "--seeds"),
    Mistake("paper --out taken", "taken is a file", {"taken": "x"}),
    Mistake("paper --store taken", "taken is a file", {"taken": "x"}),
    Mistake("paper --model nosuch", "no model 'nosuch'"),
    Mistake("store list", "there is no store in store; name its folder with --store DIR"),
    Mistake("store list --store taken", "there is no store in taken", {"taken": "x"}),
    Mistake("store list --store d", "there is no store in d", {"d/mine.txt": "x"}),
    Mistake("store verify --store d --repair", "there is no store in d", {"d/mine.txt": "x"}),
    Mistake("store show", "Missing argument 'KEY'"),
    Mistake("store gc --older-than -1", "--older-than"),
    Mistake("serve --port 70000", "--port"),
    Mistake("serve --token-file none.txt", "none.txt"),
]

PICTURES = [
    Mistake(f"{DRAW} --init none.png", "none.png"),
    Mistake(f"{DRAW} --init d", "d", {"d/": ""}),
    Mistake(f"{DRAW} --init p.png", "p.png is not a PNG, JPEG or WebP picture", {"p.png": ""}),
    Mistake(f"{DRAW} --init p.png", "p.png is not a PNG, JPEG or WebP picture", {"p.png": HTML}),
    Mistake(f"{DRAW} --init p.gif", "p.gif is not a PNG, JPEG or WebP picture", {"p.gif": picture("GIF")}),
    Mistake(f"{DRAW} --init p.png", "p.png is not a whole picture", {"p.png": TORN}),
    Mistake(f"{DRAW} --init p.jpg", "p.jpg is not a whole picture", {"p.jpg": TORN_JPEG}),
    Mistake(f"{DRAW} --init p.png", "p.png", {"p.png": huge_picture()}),
    Mistake(
        f"{DRAW} --init p.png --mask m.png", "m.png is not a whole picture", {"p.png": PNG, "m.png": TORN}
    ),
    Mistake(f"{DRAW} --init p.png --start -1/25", "start must be STEP/OF", {"p.png": PNG}),
    Mistake(f"{DRAW} --like none.png", "none.png"),
    Mistake(f"{DRAW} --like p.png", "p.png does not say how it was drawn", {"p.png": PNG}),
    Mistake("replay", "Missing argument 'PICTURE'"),
    Mistake("replay none.png", "none.png"),
    Mistake("replay p.png", "p.png does not say how it was made", {"p.png": PNG}),
    Mistake("replay p.png", "p.png", {"p.png": TORN}),
    Mistake("replay p.jpg", "p.jpg", {"p.jpg": JPEG}),
    Mistake("recall none.png", "none.png"),
    Mistake("recall p.png", "p.png does not say how it was drawn", {"p.png": PNG}),
    Mistake("recall p.png", "p.png", {"p.png": HTML}),
    Mistake("recall d", "d", {"d/": ""}),
    Mistake("latents encode none.png --out z.safetensors", "none.png"),
    Mistake("latents encode p.png --out z.safetensors", "p.png is not a whole picture", {"p.png": TORN}),
    Mistake("latents show p.png --out s.png", "p.png is not a PNG, JPEG or WebP picture", {"p.png": HTML}),
    Mistake("latents noise p.png --out n.png", "p.png is not a PNG", {"p.png": picture("BMP")}),
]

MODELS = [
    Mistake(f"{DRAW} --model none.safetensors", "none.safetensors"),
    Mistake(f"{DRAW} --model d", "model_index.json", {"d/": ""}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": ""}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": HTML}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": LONG}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": NO_JSON}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": PICKLE}),
    Mistake(f"{DRAW} --model m.safetensors", "m.safetensors", {"m.safetensors": tensors(x=(2, 2))}),
    Mistake(f"{DRAW} --model m.ckpt", "m.ckpt", {"m.ckpt": PICKLE}),
    Mistake(f"{DRAW} --model m.gguf", "m.gguf", {"m.gguf": b"GGUF\3\0\0\0"}),
    Mistake(f"{DRAW} --model d", "model_index.json", {"d/model_index.json": "{"}),
    Mistake(f"{DRAW} --model d", "model_index.json", {"d/model_index.json": "[]"}),
    Mistake(
        f"{DRAW} --model d",
        "StableDiffusionXLPipeline",
        {"d/model_index.json": index_of("StableDiffusionXLPipeline")},
    ),
    Mistake(f"{DRAW} --model d", "FluxPipeline", {"d/model_index.json": index_of("FluxPipeline")}),
    Mistake(f"{DRAW} --model d", "unet", {"d/model_index.json": index_of("StableDiffusionPipeline")}),
    Mistake("latents decode none.safetensors --out x.png", "none.safetensors"),
    Mistake("latents decode z.safetensors --out x.png", "z.safetensors", {"z.safetensors": HTML}),
    Mistake(
        "latents decode z.safetensors --out x.png", "z.safetensors", {"z.safetensors": tensors(x=(2, 2))}
    ),
    Mistake("latents decode z.safetensors --out x.jpg", "give 'x.jpg' the ending .png"),
    Mistake("latents compare d --data d", "config.json", {"d/metadata.jsonl": EMOJI}),
]

ADAPTERS = [
    Mistake(f"{DRAW} --lora none.safetensors", "none.safetensors"),
    Mistake(f"{DRAW} --lora d", "d", {"d/": ""}),
    Mistake(f"{DRAW} --lora l.safetensors", "l.safetensors", {"l.safetensors": ""}),
    Mistake(f"{DRAW} --lora l.safetensors", "l.safetensors", {"l.safetensors": HTML}),
    Mistake(f"{DRAW} --lora l.safetensors", "l.safetensors", {"l.safetensors": PICKLE}),
    Mistake(f"{DRAW} --lora l.pt", "l.pt", {"l.pt": PICKLE}),
    Mistake(f"{DRAW} --lora l.safetensors", "l.safetensors", {"l.safetensors": tensors(x=(2, 2))}),
    Mistake(f"{DRAW} --lora l.safetensors:heavy", "l.safetensors:heavy", {"l.safetensors": tensors(x=(2, 2))}),
    Mistake(f"{DRAW} --lora l.safetensors:1e9", "weight", {"l.safetensors": tensors(x=(2, 2))}),
    Mistake(f"{DRAW} --word none.safetensors", "none.safetensors"),
    Mistake(f"{DRAW} --word d", "d", {"d/": ""}),
    Mistake(f"{DRAW} --word w.safetensors", "w.safetensors", {"w.safetensors": PICKLE}),
    Mistake(f"{DRAW} --word w.pt", "w.pt", {"w.pt": PICKLE}),
    Mistake(f"{DRAW} --word w.safetensors", "w.safetensors", {"w.safetensors": tensors(w=(2, 3, 4))}),
    Mistake(f"{DRAW} --word x=w.safetensors", "w.safetensors holds 2 words", {"w.safetensors": tensors(a=(8,), b=(8,))}),
    Mistake(f"{DRAW} --word 'a b=w.safetensors'", "a b", {"w.safetensors": tensors(emb_params=(1, 8))}),
]  # fmt: skip

PROMPTS = [
    Mistake("generate --prompts-file none.txt", f"cannot read none.txt: {NOT_HERE}"),
    Mistake("generate --prompts-file p.txt", "nothing to do", {"p.txt": "\n\n"}),
    Mistake("generate --prompts-file p.txt", "p.txt is not UTF-8 text", {"p.txt": b"\xff\xfe\0a"}),
    Mistake("generate --prompts-file d", "cannot read d: Is a directory", {"d/": ""}),
    *(
        Mistake("generate --prompts-file p.jsonl", f"p.jsonl, line 1: {said}", {"p.jsonl": line})
        for line, said in (
            ("a cat", "not JSON"),
            ("[]", "must be a JSON object"),
            ('{"promt": "a cat"}', "a request has no 'promt'; did you mean 'prompt'?"),
            ('{"prompt": 3}', "prompt"),
            ('{"prompt": "a cat", "seed": "x"}', "seed"),
            ('{"prompt": "a cat", "steps": true}', "steps"),
            ('{"prompt": "a cat", "guidance": [4]}', "guidance"),
            ('{"prompt": "a cat", "init": "none"}', "init"),
            ('{"prompt": "a cat", "width": 65}', "width"),
            ('{"prompt": "a cat", "begin": 99}', "begin"),
        )
    ),
]

YAML = [
    Mistake("study run none.yaml", "cannot read none.yaml"),
    Mistake("study run d", "cannot read d", {"d/": ""}),
    *(
        Mistake("study run s.yaml", said, {"s.yaml": text})
        for text, said in (
            ("base: [", "cannot read s.yaml"),
            ("- a\n- b\n", "s.yaml should hold a table of settings"),
            ("3: 4\n", "s.yaml should hold a table of settings"),
            ("axis: {}\n", "line 1: unknown setting 'axis'; did you mean 'axes'?"),
            ("seeds: many\n", "line 1: seeds is 'many'; it should be a whole number or a list"),
            ("seeds: 0\n", "seeds"),
            ("seeds: [1, 1]\n", "seeds are how many, or a list of different ones"),
            ("mode: quick\n", "mode is 'quick'; it can be fast or exact"),
            ("precision: fp8\n", "precision"),
            ("name: a/b\n", "name"),
            ("base: {stesp: 3}\n", "did you mean 'steps'?"),
            ("base: {steps: 0}\n", "steps must be a whole number from 1 to 2000, got 0"),
            ("base: {steps: [1]}\n", "base.steps"),
            ("base: {init: none.png}\n", "none.png"),
            ("base: {lora: none.safetensors}\n", "none.safetensors"),
            ("axes: {stesp: [1, 2]}\n", "did you mean 'steps'?"),
            ("axes: {steps: []}\n", "axis steps is empty; give it values, or leave it out"),
            ("axes: {steps: [2, 2]}\n", "axis steps has a value twice; keep one"),
            ("axes: {steps: 1..20 step -1}\n", "never reaches 20; its step should be above 0"),
            ("axes: {steps: 4}\n", "axes.steps"),
            ("axes: {guidance.cgf.scale: [1, 2]}\n", "did you mean"),
            ("axes: {sampler: [ddim, eulr]}\n", "did you mean 'euler'?"),
            ("zipped: [{steps: [1, 2], seed: [1]}]\n", "zipped axes go along together"),
            ("model: nosuch\n", "no model 'nosuch'"),
            ("metrics: [sharpnes]\n", "did you mean 'sharpness'?"),
            ("metrics: [sharpness]\nplots: [{metric: sharpness, over: steps}]\n", "a plot's over is 'steps'"),
            ("metrics: [sharpness]\nplots: [{metrc: sharpness}]\n", "a plot has no 'metrc'"),
            ("claims: [{is: nosuch}]\n", "claim"),
            ("metrics: [kid]\nreference: none\n", "none"),
        )
    ),
    Mistake("study run s.yaml --out taken", "taken is a file", {"s.yaml": STUDY, "taken": "x"}),
    Mistake("study run s.yaml --store taken", "taken is a file", {"s.yaml": STUDY, "taken": "x"}),
    Mistake("study run s.yaml --index nosuch://x", "no index can be opened", {"s.yaml": STUDY}),
    Mistake("study run s.yaml --seeds 0", "--seeds", {"s.yaml": STUDY}),
    Mistake("study tune s.yaml", "--metric", {"s.yaml": STUDY}),
    Mistake("study tune s.yaml --metric sharpnes", "did you mean 'sharpness'?", {"s.yaml": STUDY}),
    Mistake("study tune s.yaml --metric sharpness", "say --maximize or --minimize", {"s.yaml": STUDY}),
    Mistake("study tune s.yaml --metric sharpness --keep x", "x", {"s.yaml": STUDY}),
    Mistake("study tune s.yaml --metric sharpness --trials 0", "--trials", {"s.yaml": STUDY}),
]

TRAINING = [
    Mistake("data emoji d", "d is not empty: name a new folder", {"d/mine.txt": "x"}),
    Mistake("data emoji taken", "taken", {"taken": "x"}),
    Mistake("data icons @iconify-json/noto d --style noto", "d is not empty", {"d/mine.txt": "x"}),
    Mistake("data icons @iconify-json/noto d", "--style"),
    Mistake("data subset none out", "no pictures in none: make them with"),
    Mistake("data subset d out --subset facs", "did you mean 'faces'?", {"d/": ""}),
    Mistake("data subset d out", "cannot read d/metadata.jsonl", {"d/metadata.jsonl": "{"}),
    Mistake("data subset d out --size 4", "--size"),
    Mistake("data check none", "none"),
    Mistake("data check d", "d", {"d/": ""}),
    Mistake("data check d", "d", {"d/a.png": TORN, "d/b.png": HTML}),
    Mistake("data check d --size 0", "size", {"d/a.png": PNG}),
    Mistake("train vae none.yaml", "cannot read none.yaml"),
    Mistake("train vae c.yaml", "data is missing", {"c.yaml": "out: r\n"}),
    Mistake("train vae c.yaml", "no pictures in none", {"c.yaml": "data: none\nout: r\nloop: {steps: 1}\n"}),
    Mistake("train vae c.yaml --precision fp8", "precision", {"c.yaml": "data: d\n"}),
    Mistake("train vae c.yaml --minutes -1", "--minutes", {"c.yaml": "data: d\n"}),
    Mistake("train clip c.yaml", "unknown setting 'dta'", {"c.yaml": "dta: d\n"}),
    Mistake("train diffusion c.yaml", "c.yaml should hold a table of settings", {"c.yaml": "- x\n"}),
    Mistake("train ddpm c.yaml", "cannot read c.yaml", {"c.yaml": "a: [\n"}),
    Mistake("finetune", "--model is missing"),
    Mistake("finetune --model faces --data d", "--out is missing", {"d/": ""}),
    Mistake("finetune --model faces --data none --out r", "none"),
    Mistake("finetune --model faces --data d --out r", "d", {"d/": ""}),
    Mistake("finetune --model nosuch --data d --out r", "no model 'nosuch'", {"d/a.png": PNG}),
    Mistake("finetune --model faces --data d --out r --lora 4", "lora is for text-to-image models", {"d/a.png": PNG}),
    Mistake("finetune --model faces --data d --out r --precision fp8", "precision", {"d/a.png": PNG}),
    Mistake("finetune --model faces --data d --out d", "d holds other things", {"d/a.png": PNG}),
    Mistake("finetune --model faces --data d --out taken", "taken", {"d/a.png": PNG, "taken": "x"}),
    Mistake("finetune --config c.yaml", "unknown setting 'modle'; did you mean 'model'?", {"c.yaml": "modle: faces\n"}),
    Mistake("finetune --grid g.yaml", "unknown part 'axis'", {"g.yaml": "axis: {lr: [1]}\n"}),
    Mistake("finetune --grid g.yaml", "axes should name settings", {"g.yaml": "base: {model: faces}\n"}),
    Mistake("finetune --grid g.yaml --config c.yaml", "two things", {"g.yaml": "", "c.yaml": ""}),
]  # fmt: skip

MISTAKES = [*COMMAND_LINE, *PICTURES, *MODELS, *ADAPTERS, *PROMPTS, *YAML, *TRAINING]
