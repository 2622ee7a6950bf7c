"""`cxrdiag audit`: the findings of `prepare`, or sought anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from cxrdiag.data.phantom.dataset import IMAGES
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store, open_store
from cxrdiag.model.checkpoint import load_model, save_model


def test_it_shows_what_prepare_found(small_store: Store, cxrdiag_command) -> None:
    outcome = cxrdiag_command("audit", "--data", small_store.path, "--json")
    assert outcome.code == 0
    findings = dict(small_store.info["findings"])
    audit = findings.pop("audit")
    store = str(small_store.path)
    assert outcome.document == {"store": store, **findings, **audit, "network_on_val": None}


def test_a_network_is_held_against_the_shortcuts(
    small_store: Store, trained_run: Path, cxrdiag_command
) -> None:
    arguments = ("audit", "--data", small_store.path, "--run", trained_run)
    found = cxrdiag_command(*arguments, "--json").document["network_on_val"]
    history = pd.read_csv(trained_run / "history.csv").set_index("epoch")
    kept = json.loads((trained_run / "model.json").read_text())["epoch"]
    assert found["auroc"] == pytest.approx(history["val_auroc"][kept], abs=0.01)
    ends = found["auroc_ci95"]  # none where it makes no error
    interval = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
    (line,) = (x for x in cxrdiag_command(*arguments).out.splitlines() if "the network, on" in x)
    assert line.split("│")[2].strip() == f"{found['auroc']:.3f}{interval}"


def test_a_network_whose_answers_are_no_numbers_is_not(
    small_store: Store, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    trained = load_model(trained_run, torch.device("cpu"))
    assert trained.detector is not None
    weights = trained.network.state_dict()
    weights["fc.weight"] = torch.full_like(weights["fc.weight"], 3e38)
    save_model(tmp_path, weights, trained.detector, trained.info)
    outcome = cxrdiag_command("audit", "--data", small_store.path, "--run", tmp_path)
    assert (outcome.code, "no number" in outcome.err) == (4, True)


def test_a_network_of_another_size_is_not(
    phantoms: Path, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    prepare(phantoms, tmp_path / "store", size=48)
    outcome = cxrdiag_command("audit", "--data", tmp_path / "store", "--run", trained_run)
    assert (outcome.code, "prepare it with --size 64" in outcome.err) == (3, True)


def test_it_seeks_where_prepare_did_not(
    phantoms: Path, small_store: Store, tmp_path: Path, cxrdiag_command
) -> None:
    prepare(phantoms, tmp_path / "store", size=64, audited=False)
    outcome = cxrdiag_command("audit", "--data", tmp_path / "store", "--json")
    expected = small_store.info["findings"]["audit"]
    *of_pictures, of_files = expected["shortcuts"]["told_by"]
    assert of_files["name"] == "file mode and quality"  # of files, which are not looked at again
    expected = {**expected, "shortcuts": {**expected["shortcuts"], "told_by": of_pictures}}
    assert {key: outcome.document[key] for key in expected} == expected
    # Kept, so that a report has them; and prepare takes the store for no newer than it was.
    before = (tmp_path / "store" / "store.json").stat().st_mtime_ns
    assert open_store(tmp_path / "store").info["findings"]["audit"] == expected
    again = cxrdiag_command("audit", "--data", tmp_path / "store", "--json")
    assert again.document == outcome.document
    assert (tmp_path / "store" / "store.json").stat().st_mtime_ns == before


def test_tables_and_warning(small_store: Store, cxrdiag_command) -> None:
    outcome = cxrdiag_command("audit", "--data", small_store.path)
    assert outcome.code == 0
    near = small_store.info["findings"]["audit"]["near_duplicates"]
    assert f"of the {near['strangers']:,} pairs of different patients" in outcome.out
    told_by = small_store.info["findings"]["audit"]["shortcuts"]["told_by"]
    assert len(told_by) == 4
    for told in told_by:
        assert f"{told['auroc']:.3f} ± {told['sd']:.3f}" in outcome.out
        warned = told["name"] in outcome.out.partition("warning: ")[2]
        assert warned == (told["auroc"] >= 0.6)


def test_where_not_all_pairs_were_looked_at_there_may_be_more(
    small_store: Store, tmp_path: Path, cxrdiag_command
) -> None:
    store = Path(shutil.copytree(small_store.path, tmp_path / "store"))
    document = json.loads((store / "store.json").read_text())
    near = document["findings"]["audit"]["near_duplicates"]
    near["all_pairs"], near["of_strangers"] = False, 123
    (store / "store.json").write_text(json.dumps(document))
    outcome = cxrdiag_command("audit", "--data", store)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{near['pairs']} or more" in outcome.out
    assert "123 or more" in outcome.out


def test_no_store(tmp_path: Path, cxrdiag_command) -> None:
    outcome = cxrdiag_command("audit", "--data", tmp_path)
    assert outcome.code == 3
    assert "no prepared store is there" in outcome.err


def test_a_film_under_both_labels_is_named(phantoms: Path, tmp_path: Path, cxrdiag_command) -> None:
    source = Path(shutil.copytree(phantoms, tmp_path / "coronahack"))
    films = sorted((source / IMAGES / "train").glob("*.jpeg"))
    well = next(film for film in films if film.name.startswith("IM"))
    sick = next(film for film in films if film.name.startswith("person"))
    shutil.copy(sick, well)
    store = tmp_path / "store"
    command = ("prepare", "--kaggle-dir", source, "--out", store, "--size", "32", "--no-audit")
    for said in (cxrdiag_command(*command).err, cxrdiag_command("audit", "--data", store).err):
        (line,) = (x for x in said.splitlines() if "under both labels" in x)
        assert line.startswith("warning: one film under both labels: ")
        assert set(line.split(": ")[2].split(", ")) == {well.name, sick.name}
