#include "chunkserver/control/disk_watch.h"

#include <absl/strings/str_cat.h>

#include <cerrno>

#include "common/status.h"

namespace penstock::chunkserver {

namespace {

// This server has too little, not the disk.
bool IsOwnShortage(const absl::Status& status) {
  const int err = AttachedErrno(status);
  return err == EMFILE || err == ENFILE || err == ENOMEM;
}

}  // namespace

bool IsReadOnly(const Target& target, FileSystem* fs) {
  auto file = fs->Open(target.dir + "/probe", {.create = true});
  const absl::Status written = file.ok() ? (*file)->Write(0, "x") : file.status();
  return AttachedErrno(written) == EROFS;
}

DiskSigns LookAtDisk(const Target& target, FileSystem* fs) {
  DiskSigns signs;
  signs.store = target.store->Health();
  signs.io_errors = target.store->io_errors();
  auto place = PlaceProblem(target, fs);
  signs.place_unread = !place.ok() && !IsOwnShortage(place.status());
  if (place.ok()) signs.place = *std::move(place);
  if (auto space = target.store->Space(); space.ok()) {
    signs.read_only = space->read_only;
  } else if (!IsOwnShortage(space.status())) {
    signs.place_unread = true;
  }
  // The index says of a read-only file system only that it could not write.
  if (!signs.store.ok() && !signs.read_only) signs.read_only = IsReadOnly(target, fs);
  return signs;
}

const std::string& DiskWatch::Look(const DiskSigns& signs, absl::Duration now) {
  if (failed_.empty()) failed_ = Judge(signs, now);
  return failed_;
}

std::string DiskWatch::Judge(const DiskSigns& signs, absl::Duration now) {
  if (!signs.place.empty()) {
    return absl::StrCat(signs.place,
                        ": mount its disk or bring its directory back, then restart the "
                        "chunkserver");
  }
  if (signs.read_only) {
    return "its file system is mounted read-only: look at dmesg, check the disk and mount it "
           "read-write again, then restart the chunkserver";
  }
  if (absl::IsDataLoss(signs.store)) {
    return absl::StrCat(signs.store.message(), ": look at its disk (dmesg, smartctl), then ",
                        "restart the chunkserver: it fetches what it lacks from other copies");
  }
  if (!signs.store.ok()) {
    return absl::StrCat("it can no longer make anything durable (", signs.store.message(),
                        "): look at its disk (dmesg, smartctl), then restart the chunkserver");
  }
  unread_ = signs.place_unread ? unread_ + 1 : 0;
  if (unread_ >= limits_.unread_looks) {
    return "its directory cannot be read: look at its disk (dmesg, smartctl), then restart the "
           "chunkserver";
  }
  errors_.emplace_back(now, signs.io_errors);
  while (errors_.front().first < now - limits_.window) errors_.pop_front();
  const uint64_t lately = signs.io_errors - errors_.front().second;
  if (lately <= limits_.io_errors) return "";
  return absl::StrCat(lately, " I/O errors within ", absl::ToInt64Minutes(limits_.window),
                      " min: replace its disk, or mend what ails it (dmesg, smartctl) and restart "
                      "the chunkserver");
}

}  // namespace penstock::chunkserver
