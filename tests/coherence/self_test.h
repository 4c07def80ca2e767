#pragma once

namespace penstock::coherence {

// The checkers on made-up histories, right ones and wrong ones; then every test on a file system
// that lies. 0 if the right ones pass and the wrong ones are found.
int SelfTest();

}  // namespace penstock::coherence
