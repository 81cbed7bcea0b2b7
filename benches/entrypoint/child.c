/* The step's command in the benchmark: child STAMPS MILLISECONDS RESULTS
 *
 * Puts into the file STAMPS, two 64-bit numbers, the nanoseconds of CLOCK_MONOTONIC at which main began and at which the
 * process ended. In between it sleeps, and writes so many results of 71 characters. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

int main(int argc, char **argv) {
	uint64_t begun = now();
	if (argc != 4) return 64;
	int file = open(argv[1], O_RDWR);
	uint64_t *stamps = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (stamps == MAP_FAILED) return 65;
	stamps[0] = begun;
	if (atoi(argv[2]) > 0) usleep((useconds_t)atoi(argv[2]) * 1000);
	for (int i = 0; i < atoi(argv[3]); i++) {
		char name[64];
		snprintf(name, sizeof name, "/tekton/results/digest-%02d", i);
		FILE *result = fopen(name, "w");
		if (result == NULL || fprintf(result, "sha256:%064d", i) != 71 || fclose(result) != 0) return 66;
	}
	stamps[1] = now();
	_exit(0);
}
