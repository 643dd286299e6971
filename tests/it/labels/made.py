"""Label files as their own tools write or read them. Arguments: a folder to write them to, and the example of the guide.

Prints what the tools say about them, as JSON.
"""

import importlib.util
import json
import pathlib
import sys
import types

import msgspec
from pascal_voc_writer import Writer
from pycocotools.coco import COCO
from vi.api.pagination import PaginatedResponse
from vi.api.resources.datasets.assets.responses import Asset, AssetIngestionError

folder, example = pathlib.Path(sys.argv[1]), sys.argv[2]

# COCO: pycocotools reads the annotations that it evaluates, in whatever order they are.
document = {
    "annotations": [{"id": 1, "image_id": "x", "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "dog"}],
    "images": [
        {"id": "x", "file_name": "0002.jpg", "width": 320, "height": 240},
        {"id": 2, "file_name": "0003.JPG", "width": 320, "height": 240},
    ],
}
(folder / "coco.json").write_text(json.dumps(document))
images = COCO(folder / "coco.json").imgs.values()

# Pascal VOC.
writer = Writer("/data/Übergang.jpg", 320, 240)
writer.addObject("dog", 1, 2, 30, 40)
(folder / "voc").mkdir()
writer.save(str(folder / "voc" / "transition.xml"))

# Vi: what its SDK makes of a listing, and its error codes.
asset = {"assetId": "a", "datasetId": "o_d", "workspaceId": "o", "kind": "Asset", "owner": "u", "selfLink": "", "etag": ""}
metadata = {
    "generations": {"asset": "", "thumbnail": ""}, "insertedBy": "u", "annotations": {"withTag": {}, "total": 0},
    "frames": 0, "cohorts": [], "fileSize": 1, "height": 240, "width": 320, "mimeType": "image/jpeg", "source": "s",
    "status": "Ready", "uploadStatus": "Done", "visibility": "All", "userDefined": {}, "customMetadata": {},
    "dimensions": {"height": 240, "width": 320}, "pixelRatio": {"height": 1, "width": 1}, "comments": 0,
    "customMetadataCount": 0, "hash": {"algorithm": "md5", "contents": ""}, "contentsFrom": "s", "framesChange": {},
    "timeCreated": 0, "lastUpdated": 0, "contentsLastUpdated": 0,
}  # fmt: skip
names = ["0002.jpg", "flight 1.mp4"]
assets = [
    msgspec.convert({**asset, "filename": name, "metadata": {**metadata, "frames": 7 * name.endswith("4")}}, Asset)
    for name in names
]
(folder / "listing.json").write_bytes(msgspec.json.encode({"items": assets, "nextPage": None}))

# The example, with the SDK's own pages, and with the call that it makes of presync.
calls = []
stand_in = types.ModuleType("presync")
compared = types.SimpleNamespace(result="", patterns=[], totals={"missing": 0})
stand_in.reconcile = lambda plan, names: calls.append((plan, list(names))) or compared
sys.modules["presync"] = stand_in
spec = importlib.util.spec_from_file_location("example", example)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


class Client:
    class assets:
        @staticmethod
        def list(dataset_id):
            assert dataset_id == "d"
            return PaginatedResponse(items=assets)


import vi  # noqa: E402

assert list(module.filenames(Client(), "d")) == names
vi.Client = Client
assert module.main("plan.parquet", "d") == 0
assert calls == [("plan.parquet", names)]
print(json.dumps({"coco": [image["file_name"] for image in images], "codes": [code.value for code in AssetIngestionError]}))
