// How fast Hyperscan finds the ends of what the expressions match, block mode.
//
//   hyperscan EXPRESSIONS TEXT SECONDS
//
// EXPRESSIONS has one expression a line. Prints nanoseconds of processor time a
// byte, matches in one pass, and milliseconds that compiling took. It reports
// every end of every match, no beginnings, no words around them, no checks:
// other things than the scanner does, and less.
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long long matches;

static int found(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx) {
	(void)id; (void)from; (void)to; (void)flags; (void)ctx;
	matches++;
	return 0;
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *must(void *p, const char *what) {
	if (!p) {
		fprintf(stderr, "hyperscan: %s\n", what);
		exit(1);
	}
	return p;
}

int main(int argc, char **argv) {
	static const char *exprs[4096];
	static unsigned flags[4096], ids[4096];
	static char line[8192];
	if (argc != 4) return 2;
	FILE *f = must(fopen(argv[1], "r"), "open expressions");
	unsigned n = 0;
	for (; n < 4096 && fgets(line, sizeof line, f); n++) {
		line[strcspn(line, "\n")] = 0;
		exprs[n] = must(strdup(line), "memory");
		ids[n] = n;
	}
	fclose(f);
	f = must(fopen(argv[2], "r"), "open text");
	fseek(f, 0, SEEK_END);
	size_t size = ftell(f);
	rewind(f);
	char *text = must(malloc(size), "memory");
	if (fread(text, 1, size, f) != size) return 1;

	hs_database_t *db;
	hs_compile_error_t *err;
	double start = now();
	if (hs_compile_multi(exprs, flags, ids, n, HS_MODE_BLOCK, NULL, &db, &err) != HS_SUCCESS) {
		fprintf(stderr, "hyperscan: expression %d: %s\n", err->expression, err->message);
		return 1;
	}
	double compiled = now() - start;
	hs_scratch_t *scratch = NULL;
	if (hs_alloc_scratch(db, &scratch) != HS_SUCCESS) return 1;
	unsigned runs = 0;
	double spent, wanted = atof(argv[3]);
	start = now();
	do {
		matches = 0;
		if (hs_scan(db, text, size, 0, scratch, found, NULL) != HS_SUCCESS) return 1;
		runs++;
	} while ((spent = now() - start) < wanted);
	printf("%.6f %llu %.1f\n", spent * 1e9 / runs / size, matches, compiled * 1e3);
	return 0;
}
