// The rule of the mount option `relatime`: which reads change a file's time of last access.
#pragma once

#include <absl/time/time.h>

namespace penstock {

// Of a file, and the time of the read.
struct AccessTimes {
  absl::Time atime, mtime, ctime, now;
};

// An access time that is not newer than the last change says "nobody has read it since", and one
// that is a day old says "nobody uses it": those are brought up to date. A change in the future (a
// clock is wrong, or somebody set it so) counts as none: else every read would be due for ever.
inline bool RelatimeIsDue(const AccessTimes& t) {
  for (absl::Time change : {t.mtime, t.ctime}) {
    if (t.atime <= change && change <= t.now) return true;
  }
  return t.now - t.atime >= absl::Hours(24);
}

}  // namespace penstock
