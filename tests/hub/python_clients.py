"""The Hub's own Python clients against the small Hub, unchanged, with HF_ENDPOINT set to it.

The tokens hf_alice and hf_bob may write, hf_reader may only read. What is asserted here holds at the Hub too, as far
as huggingface_hub itself says so. Run with "all", or with "downloads" for what must also work while Xet is left on.
"""

import hashlib
import json
import os
import sys
import tempfile
import urllib.request
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    login,
    snapshot_download,
    whoami,
)
from huggingface_hub import __version__ as version
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

ENDPOINT = os.environ["HF_ENDPOINT"]
ALICE, BOB, READER = "hf_alice", "hf_bob", "hf_reader"
api = HfApi(token=ALICE)


def control(path, value=None, method=None):
    """Asks the small Hub itself, past the clients."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(ENDPOINT + path, data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def raises(kind, call, status=None):
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} and not {kind.__name__}: {error}"
        assert status is None or error.response.status_code == status, error
        return error
    raise AssertionError(f"no {kind.__name__}")


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def large(size):
    """Blocks of 16 KiB that differ from each other, so that no part can stand for another; the test in Rust makes the same."""
    pieces = (hashlib.sha256(f"{size} {number}".encode()).digest() * 512 for number in range(size // 16384 + 1))
    return b"".join(pieces)[:size]


def sign_in():
    login(token=ALICE, skip_if_logged_in=False)
    about = whoami()
    assert about["name"] == "alice" and about["auth"]["accessToken"]["role"] == "write", about
    assert whoami(token=READER)["auth"]["accessToken"]["role"] == "read"
    fine = whoami(token="hf_fine")["auth"]["accessToken"]
    assert fine["role"] == "fineGrained" and fine["fineGrained"]["scoped"][0]["permissions"] == ["repo.write"], fine
    error = raises(HfHubHTTPError, lambda: whoami(token="hf_nobody"), 401)
    assert "Invalid user token" in str(error), error


def models():
    """A model with small files and one in parts, read back, changed and read back again."""
    url = api.create_repo("alice/py-model", private=False)
    assert url == f"{ENDPOINT}/alice/py-model", url
    assert api.create_repo("alice/py-model", exist_ok=True) == url
    raises(HfHubHTTPError, lambda: api.create_repo("alice/py-model"), 409)
    raises(HfHubHTTPError, lambda: api.create_repo("bob/not-mine"), 403)

    folder = Path(tempfile.mkdtemp())
    weights = large(3_500_000)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: text-classification\ntags:\n- mbti\n---\n# A model\n")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"small, and yet large by its ending")
    (folder / "empty.bin").write_bytes(b"")
    control("/_log", method="DELETE")
    first = api.upload_folder(repo_id="alice/py-model", folder_path=folder, commit_message="Weights")
    parts = [one for one in control("/_log") if one["method"] == "PUT"]
    assert len(parts) == 4 + 1, [one["path"] for one in parts]
    assert all(one["token"] is None and one["listener"] == "storage" for one in parts), parts

    info = api.model_info("alice/py-model", files_metadata=True)
    assert info.sha == first.oid and info.pipeline_tag == "text-classification", info
    assert "mbti" in info.tags and "license:mit" in info.tags and info.card_data.license == "mit", info
    by_name = {one.rfilename: one for one in info.siblings}
    assert by_name["model.safetensors"].lfs.sha256 == hashlib.sha256(weights).hexdigest()
    assert by_name["empty.bin"].lfs is None and by_name["onnx/model.onnx"].lfs is not None
    assert api.model_info("alice/py-model", expand=["sha", "gated"]).sha == first.oid

    # What has not changed is not sent again and makes no commit.
    control("/_log", method="DELETE")
    again = api.upload_folder(repo_id="alice/py-model", folder_path=folder)
    assert again.oid == first.oid
    assert not [one for one in control("/_log") if one["method"] == "PUT"]

    second = api.create_commit(
        "alice/py-model",
        [CommitOperationAdd("notes.txt", b"second"), CommitOperationDelete("empty.bin"), CommitOperationDelete("onnx/")],
        commit_message="Second",
        commit_description="With a reason",
        parent_commit=first.oid,
    )
    raises(
        HfHubHTTPError,
        lambda: api.create_commit(
            "alice/py-model", [CommitOperationAdd("late.txt", b"late")], commit_message="Late", parent_commit=first.oid
        ),
        412,
    )
    assert api.model_info("alice/py-model").sha == second.oid
    raises(HfHubHTTPError, lambda: HfApi(token=READER).upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="alice/py-model"), 403)
    raises(HfHubHTTPError, lambda: HfApi(token=BOB).upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="alice/py-model"), 403)
    assert [one.title for one in api.list_repo_commits("alice/py-model")] == ["Second", "Weights", "initial commit"]

    api.create_tag("alice/py-model", tag="v1", revision=first.oid)
    api.create_branch("alice/py-model", branch="try/this")
    refs = api.list_repo_refs("alice/py-model")
    assert {one.name for one in refs.branches} == {"main", "try/this"} and refs.tags[0].target_commit == first.oid
    api.upload_file(path_or_fileobj=b"on a branch", path_in_repo="b.txt", repo_id="alice/py-model", revision="try/this")
    assert api.file_exists("alice/py-model", "b.txt", revision="try/this")
    assert not api.file_exists("alice/py-model", "b.txt")

    tree = {one.path: one for one in api.list_repo_tree("alice/py-model", recursive=True, expand=True, revision="v1")}
    assert tree["onnx"].tree_id and tree["onnx/model.onnx"].lfs and tree["config.json"].last_commit.title == "Weights"
    infos = api.get_paths_info("alice/py-model", ["config.json", "onnx", "missing"], revision="v1")
    assert [one.path for one in infos] == ["config.json", "onnx"], infos
    assert [one.id for one in api.list_models(search="PY-MOD")] == ["alice/py-model"]

    path = hf_hub_download("alice/py-model", "model.safetensors", revision="v1")
    assert sha256(path) == hashlib.sha256(weights).hexdigest()
    root = Path(snapshot_download("alice/py-model", revision="v1"))
    for name in ["config.json", "README.md", "model.safetensors", "onnx/model.onnx", "empty.bin"]:
        assert sha256(root / name) == sha256(folder / name), name
    root = Path(snapshot_download("alice/py-model"))
    assert (root / "notes.txt").read_bytes() == b"second" and not (root / "onnx").exists()


def refusals():
    """What is private, gated, disabled or missing is told by the right exception."""
    api.create_repo("alice/py-private", private=True)
    api.upload_file(path_or_fileobj=b"secret", path_in_repo="a.txt", repo_id="alice/py-private")
    bob = HfApi(token=BOB)
    raises(RepositoryNotFoundError, lambda: bob.model_info("alice/py-private"), 404)
    raises(RepositoryNotFoundError, lambda: bob.model_info("alice/there-is-none"), 404)
    raises(RepositoryNotFoundError, lambda: hf_hub_download("alice/py-private", "a.txt", token=BOB), 404)
    # Without a token the Hub says 401 and no code; the client takes that for a missing repository on https only.
    raises(HfHubHTTPError, lambda: HfApi(token=False).model_info("alice/py-private"), 401)
    raises(HfHubHTTPError, lambda: HfApi(token=False).model_info("alice/there-is-none"), 401)
    assert Path(hf_hub_download("alice/py-private", "a.txt", token=ALICE)).read_bytes() == b"secret"
    assert not bob.repo_exists("alice/py-private") and api.repo_exists("alice/py-private")

    api.create_repo("alice/py-gated")
    api.upload_file(path_or_fileobj=b"for some", path_in_repo="a.txt", repo_id="alice/py-gated")
    api.update_repo_settings("alice/py-gated", gated="manual")
    assert bob.model_info("alice/py-gated").gated == "manual"
    raises(GatedRepoError, lambda: hf_hub_download("alice/py-gated", "a.txt", token=BOB), 403)
    raises(GatedRepoError, lambda: hf_hub_download("alice/py-gated", "a.txt", token=False), 401)
    raises(GatedRepoError, lambda: bob.auth_check("alice/py-gated"), 403)
    api.grant_access("alice/py-gated", "bob")
    assert Path(hf_hub_download("alice/py-gated", "a.txt", token=BOB)).read_bytes() == b"for some"

    control("/_faults", {"path": "*/py-gated/*", "times": 1, "fault": {"kind": "status", "status": 403}})
    raises(HfHubHTTPError, lambda: api.get_paths_info("alice/py-gated", ["a.txt"]), 403)
    raises(RevisionNotFoundError, lambda: hf_hub_download("alice/py-model", "config.json", revision="none"), 404)
    error = raises(RemoteEntryNotFoundError, lambda: hf_hub_download("alice/py-model", "none.json"), 404)
    assert isinstance(error, EntryNotFoundError)
    raises(RepositoryNotFoundError, lambda: api.delete_repo("alice/there-is-none"), 404)
    api.delete_repo("alice/py-private")
    assert not api.repo_exists("alice/py-private")


def disabled():
    """The test has made this repository and disabled it, which no client can."""
    url = hf_hub_url("alice/py-disabled", "a.txt")
    raises(DisabledRepoError, lambda: get_hf_file_metadata(url, token=ALICE), 403)


def data_sets():
    """Data sets in CSV and in Parquet, by load_dataset and by push_to_hub."""
    import datasets

    datasets.disable_progress_bars()
    rows = "".join(f"text {number},{'INTJ' if number % 2 else 'ESFP'}\n" for number in range(50))
    api.create_repo("alice/py-csv", repo_type="dataset")
    api.upload_file(
        path_or_fileobj=("posts,type\n" + rows).encode(), path_in_repo="train.csv", repo_id="alice/py-csv", repo_type="dataset"
    )
    found = datasets.load_dataset("alice/py-csv", token=ALICE)
    assert found["train"].num_rows == 50 and found["train"][3] == {"posts": "text 3", "type": "INTJ"}, found

    made = datasets.Dataset.from_dict({"posts": [f"text {number}" for number in range(1000)], "label": list(range(1000))})
    made.push_to_hub("alice/py-parquet", token=ALICE, private=True)
    found = datasets.load_dataset("alice/py-parquet", token=ALICE, split="train")
    assert found["label"] == list(range(1000)) and found["posts"][999] == "text 999"
    streamed = datasets.load_dataset("alice/py-parquet", token=ALICE, split="train", streaming=True)
    assert next(iter(streamed))["posts"] == "text 0"
    assert not [one for one in control("/_log") if one["listener"] == "storage" and one["token"]]

    files = HfFileSystem(token=ALICE)
    names = files.glob("datasets/alice/py-parquet/**/*.parquet")
    assert len(names) == 1, names
    whole = files.read_bytes(names[0])
    with files.open(names[0]) as file:
        file.seek(4)
        assert file.read(100) == whole[4:104]


def converted():
    """A conversion to Parquet on its own branch, as the Hub makes one, listed and read."""
    import pandas

    table = pandas.DataFrame({"posts": ["one", "two"], "type": ["INTJ", "ESFP"]})
    made = table.to_parquet()
    api.create_repo("alice/converted", repo_type="dataset")
    api.create_branch("alice/converted", branch="refs/convert/parquet", repo_type="dataset")
    api.upload_file(
        path_or_fileobj=made,
        path_in_repo="default/train/0000.parquet",
        repo_id="alice/converted",
        repo_type="dataset",
        revision="refs/convert/parquet",
    )
    with urllib.request.urlopen(f"{ENDPOINT}/api/datasets/alice/converted/parquet") as answer:
        listed = json.load(answer)
    assert list(listed["default"]) == ["train"], listed
    with urllib.request.urlopen(listed["default"]["train"][0]) as answer:
        assert answer.read() == made
    path = hf_hub_download(
        "alice/converted", "default/train/0000.parquet", repo_type="dataset", revision="refs/convert/parquet"
    )
    assert pandas.read_parquet(path).equals(table)
    assert [one.name for one in api.list_repo_refs("alice/converted", repo_type="dataset").converts] == ["parquet"]
    assert not api.file_exists("alice/converted", "default/train/0000.parquet", repo_type="dataset")


def downloads():
    """A large file that is cut again and again arrives whole, and its storage never sees the token.

    huggingface_hub keeps what it has in steps of 10 MiB, so that it resumes from a multiple of them.
    """
    want = hashlib.sha256(large(25_000_000)).hexdigest()
    about = get_hf_file_metadata(hf_hub_url("alice/given", "big.bin"), token=ALICE)
    assert about.etag == want and about.size == 25_000_000 and about.xet_file_data is None, about
    control("/_log", method="DELETE")
    control("/_faults", {"path": "*big.bin", "times": 2, "fault": {"kind": "cut", "after": 11_000_000}})
    assert sha256(hf_hub_download("alice/given", "big.bin", token=ALICE)) == want
    asked = [one for one in control("/_log") if one["listener"] == "storage" and one["method"] == "GET"]
    assert [one["status"] for one in asked] == [200, 206, 206], asked
    assert [one["range"] for one in asked] == [None, "bytes=10485760-", "bytes=20971520-"], asked
    assert [one["bytes_sent"] for one in asked] == [11_000_000, 11_000_000, 25_000_000 - 20_971_520], asked
    assert not [one for one in asked if one["token"]], asked

    control("/_faults", [
        {"path": "*big.bin", "times": 1, "fault": {"kind": "cut", "after": 11_000_000}},
        {"path": "*big.bin", "times": 1, "fault": {"kind": "ignore_range"}},
    ])
    path = hf_hub_download("alice/given", "big.bin", token=ALICE, force_download=True)
    assert sha256(path) == want

    control("/_faults", {"path": "*big.bin", "method": "GET", "times": 1, "fault": {"kind": "status", "status": 429, "retry_after": 0}})
    path = hf_hub_download("alice/given", "big.bin", token=ALICE, force_download=True)
    assert sha256(path) == want
    assert control("/_faults") == []
    root = Path(snapshot_download("alice/given", token=ALICE, cache_dir=tempfile.mkdtemp()))
    assert sha256(root / "big.bin") == want and (root / "config.json").read_text() == "{}"


if __name__ == "__main__":
    stages = [sign_in, models, refusals, disabled, data_sets, converted, downloads]
    for stage in stages if sys.argv[1] == "all" else [downloads]:
        stage()
        print(f"ok: {stage.__name__} (huggingface_hub {version}, HF_HUB_DISABLE_XET={os.environ.get('HF_HUB_DISABLE_XET')})", flush=True)
