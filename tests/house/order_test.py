"""Order in the house: READMEs, names, presets, formatting, executable bits."""

import json
import os
import re
import shutil
import subprocess
import unittest

import sources


class OrderTest(unittest.TestCase):
    def folders(self):
        found = set()
        for path in sources.files(".h", ".cc", ".py", ".proto"):
            found.add(os.path.dirname(path))
        return sorted(found)

    def test_every_folder_of_the_source_has_a_short_readme(self):
        wrong = []
        for folder in self.folders():
            if folder.startswith("tests/") and folder not in ("tests/cluster", "tests/house",
                                                              "tests/testing", "tests/fuzz",
                                                              "tests/posix", "tests/coherence",
                                                              "tests/rdma"):
                continue  # mirrors the source, which has the README
            path = os.path.join(sources.REPOSITORY, folder, "README.md")
            if not os.path.exists(path):
                wrong.append(f"{folder}: no README.md")
            elif len(sources.text(os.path.join(folder, "README.md")).splitlines()) > 40:
                wrong.append(f"{folder}/README.md: more than 40 lines")
        self.assertEqual(wrong, [])

    def test_the_house_has_its_documents(self):
        for name in ("README.md", "LICENSE", "docs/ARCHITECTURE.md", "docs/formats/README.md",
                     ".clang-format", ".clang-tidy", "CMakePresets.json"):
            self.assertTrue(os.path.exists(os.path.join(sources.REPOSITORY, name)), name)
        self.assertIn("Apache License", sources.text("LICENSE"))

    def test_every_format_page_in_the_list_exists(self):
        listed = re.findall(r"\]\(([^)]+\.md)\)", sources.text("docs/formats/README.md"))
        missing = [name for name in listed
                   if not os.path.exists(os.path.join(sources.REPOSITORY, "docs/formats", name))]
        self.assertEqual(missing, [])

    def test_links_in_documents_lead_somewhere(self):
        wrong = []
        for folder, directories, names in os.walk(sources.REPOSITORY):
            directories[:] = [d for d in directories if not sources.IGNORED.match(d)]
            for name in names:
                if not name.endswith(".md"):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    for link in re.findall(r"\]\(([^)#:]+)\)", file.read()):
                        if not os.path.exists(os.path.join(folder, link)):
                            wrong.append(f"{os.path.relpath(path, sources.REPOSITORY)}: {link}")
        self.assertEqual(wrong, [])

    def test_decisions_are_dated(self):
        folder = os.path.join(sources.REPOSITORY, "docs", "decisions")
        wrong = [name for name in os.listdir(folder)
                 if name != "README.md" and not re.match(r"\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md$", name)]
        self.assertEqual(wrong, [])

    def test_presets_are_the_promised_ones(self):
        presets = json.loads(sources.text("CMakePresets.json"))
        names = {preset["name"] for preset in presets["configurePresets"]}
        self.assertLessEqual({"release", "debug", "asan-ubsan", "tsan", "clang-thread-safety"}, names)
        self.assertEqual({p["name"] for p in presets["buildPresets"]}, names - {"base"})

    def test_file_names_are_in_lower_case(self):
        wrong = [path for path in sources.files(".h", ".cc", ".py", ".proto")
                 if not re.match(r"^[a-z0-9_./-]+$", path)]
        self.assertEqual(wrong, [])

    def test_headers_are_included_once(self):
        wrong = [path for path in sources.files(".h") if "#pragma once" not in sources.text(path)]
        self.assertEqual(wrong, [])

    def test_names_say_what_things_do(self):
        wrong = []
        for path in sources.files(".h"):
            for name in re.findall(r"^(?:class|struct) (\w+)", sources.text(path), re.MULTILINE):
                if re.search(r"(Manager|Helper|Util|Misc|Base|Impl)$", name):
                    wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_programs_to_call_are_executable(self):
        for path in ("tests/run", "bench/run", "deploy/quickstart", "deploy/install-packages",
                     ".ci/run", "tests/cluster/run.py", "tests/house/run.py",
                     "tests/posix/run", "tests/posix/stage.py", "tests/rdma/vm",
                     "bench/transport/run"):
            full = os.path.join(sources.REPOSITORY, path)
            self.assertTrue(os.path.exists(full), path)
            self.assertTrue(os.access(full, os.X_OK), path)

    def test_sources_are_formatted(self):
        if not shutil.which("clang-format"):
            self.skipTest("clang-format is not installed")
        paths = sources.files(".h", ".cc")
        result = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths],
                                cwd=sources.REPOSITORY, stderr=subprocess.PIPE, text=True)
        unformatted = sorted({line.split(":")[0] for line in result.stderr.splitlines()
                              if "error:" in line})
        self.assertEqual(unformatted, [])

    def test_no_stub_is_left(self):
        mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
        wrong = [path for path in sources.files(".h", ".cc", ".py", ".proto")
                 if mark.search(sources.text(path))]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
