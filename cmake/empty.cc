// Something to compile: for a library that is only a precompiled header, or a room without sources.
