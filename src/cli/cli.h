/* SPDX-License-Identifier: BSD-3-Clause */
/* cli: the freshet command. Parses arguments, runs one verb, returns the exit code. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* 0: done; 1: it did not work (message on standard error); 2: wrong usage. */
int cli_main(int argc, char **argv);

#endif
