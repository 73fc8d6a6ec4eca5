"""Single jobs of Python's own Hub clients, for a test in which ours works with the same Hub and the same cache."""

import hashlib
import os
import sys
from pathlib import Path


def push(repo, folder):
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo, exist_ok=True)
    api.upload_folder(repo_id=repo, folder_path=folder)


def fetch(repo):
    from huggingface_hub import snapshot_download

    snapshot_download(repo)


def offline(repo):
    os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import hf_hub_download

    for name in ["config.json", "model.safetensors", "tokenizer.json"]:
        assert Path(hf_hub_download(repo, name)).stat().st_size > 0, name


def begin(repo):
    """Leaves a download of train.csv as it is when Python is killed after 100 bytes."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.constants import HF_HUB_CACHE

    url = hf_hub_url(repo, "train.csv", repo_type="dataset")
    etag = get_hf_file_metadata(url).etag
    blobs = Path(HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    from huggingface_hub import get_session

    whole = get_session().get(url, headers={"authorization": f"Bearer {os.environ['HF_TOKEN']}"}, follow_redirects=True)
    (blobs / f"{etag}.incomplete").write_bytes(whole.content[:100])


def hash_file(path):
    print(hashlib.sha256(Path(path).read_bytes()).hexdigest())


def hash_remote(repo, name):
    from huggingface_hub import snapshot_download

    hash_file(Path(snapshot_download(repo)) / name)


def card(repo):
    from huggingface_hub import ModelCard, model_info

    data = ModelCard.load(repo).data
    print(data.base_model, data.pipeline_tag, data.license, data.datasets, model_info(repo).tags)


def load(repo):
    from datasets import load_dataset

    print(len(load_dataset(repo, split="train")))


jobs = {"push": push, "fetch": fetch, "offline": offline, "begin": begin, "hash": hash_remote, "hash-file": hash_file,
        "card": card, "load": load}
jobs[sys.argv[1]](*sys.argv[2:])
