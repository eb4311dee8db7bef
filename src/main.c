/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process begins here. Everything else is behind the verbs of cli/cli.c.
 */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
