/* cases_tally_rank.c: quantiles by nearest rank, exact, without putting all values in order. */
#include <string.h>

#include "cases_tally_internal.h"

enum { BUCKETS = 512, FEW = 64 };

/* Sixteen buckets for each power of two: in the order of the values, and evenly filled by durations. */
static size_t bucket_of(uint32_t value)
{
	int bits = value < 16 ? 4 : 31 - __builtin_clz(value);

	return (size_t)(bits - 4) * 16 + (value >> (bits - 4));
}

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t kept = *a;

	*a = *b;
	*b = kept;
}

/* Hoare's selection: the value of this rank, with what is smaller before it. */
static uint32_t select_among(uint32_t *values, size_t count, size_t rank)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		uint32_t pivot = values[low + (high - low) / 2];
		size_t left = low, right = high - 1;

		for (;;) {
			while (values[left] < pivot)
				left++;
			while (values[right] > pivot)
				right--;
			if (left >= right)
				break;
			swap(&values[left++], &values[right--]);
		}
		/* left is where what is not smaller begins, when the two have passed each other. */
		if (left == right && values[left] <= pivot)
			left++;
		if (left == low || left == high)
			left = low + 1;
		if (rank < left)
			high = left;
		else
			low = left;
	}
	return values[low];
}

static size_t rank_of(size_t count, size_t percent)
{
	return (count * percent + 99) / 100 - 1;
}

static void measure_few(const struct cases_runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	size_t at = 0, rank = rank_of(count, 90);

	for (size_t run = 0; run < runs->count; run++) {
		memcpy(picked + at, runs->values + runs->starts[run], runs->sizes[run] * sizeof *picked);
		at += runs->sizes[run];
	}
	*ret_p90 = select_among(picked, count, rank);
	*ret_p50 = select_among(picked, count, rank_of(count, 50));
}

/* The bucket that holds the rank, which becomes the rank in it. */
static size_t find_bucket(const uint32_t histogram[BUCKETS], size_t *rank)
{
	size_t bucket = 0;

	while (*rank >= histogram[bucket])
		*rank -= histogram[bucket++];
	return bucket;
}

/* Looks for the two ranks among the values of their buckets alone: one picked at the front, the other at the back. */
static void measure_many(const struct cases_runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	uint32_t histogram[BUCKETS] = {0}, *end = picked + count, *low = picked, *high = end;
	size_t low_rank = rank_of(count, 50), high_rank = rank_of(count, 90), low_bucket, high_bucket;

	for (size_t run = 0; run < runs->count; run++)
		for (size_t i = 0; i < runs->sizes[run]; i++)
			histogram[bucket_of(runs->values[runs->starts[run] + i])]++;
	low_bucket = find_bucket(histogram, &low_rank);
	high_bucket = find_bucket(histogram, &high_rank);
	for (size_t run = 0; run < runs->count; run++)
		for (size_t i = 0; i < runs->sizes[run]; i++) {
			uint32_t value = runs->values[runs->starts[run] + i];
			size_t bucket = bucket_of(value);

			if (bucket == low_bucket)
				*low++ = value;
			else if (bucket == high_bucket)
				*--high = value;
		}
	*ret_p50 = select_among(picked, (size_t)(low - picked), low_rank);
	*ret_p90 = low_bucket == high_bucket ? select_among(picked, (size_t)(low - picked), high_rank)
					     : select_among(high, (size_t)(end - high), high_rank);
}

void cases_tally_measure(const struct cases_runs *runs, uint32_t *picked, struct cases_span_figure *ret)
{
	uint32_t p50, p90;
	size_t count = 0;

	for (size_t run = 0; run < runs->count; run++)
		count += runs->sizes[run];
	*ret = (struct cases_span_figure){.count = count};
	if (count == 0)
		return;
	if (count <= FEW)
		measure_few(runs, count, picked, &p50, &p90);
	else
		measure_many(runs, count, picked, &p50, &p90);
	ret->p50_ms = (int64_t)p50 * 10;
	ret->p90_ms = (int64_t)p90 * 10;
}
