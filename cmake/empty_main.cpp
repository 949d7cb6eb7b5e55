// The main of executables that exist to be linked: library link tests and the shared precompiled header.
int main() { return 0; }
