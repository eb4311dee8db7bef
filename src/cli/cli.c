/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

int cli_main(int argc, char **argv)
{
    return argc > 0 && argv[0] != 0 ? 0 : 2;
}
