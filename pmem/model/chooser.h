/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_CHOOSER_H
#define MODEL_CHOOSER_H

/* Which of the legal states a power failure leaves. */
enum chooser_policy {
	CHOOSER_LOSE,  /* only what is guaranteed survives */
	CHOOSER_KEEP,  /* everything that was stored survives */
	CHOOSER_RANDOM /* each unit by a coin of its own, drawn from a seed */
};

/* "lose", "keep" or "random". */
const char *chooser_policy_name(enum chooser_policy policy);
/* The reverse: 0, or -EINVAL for any other text. */
int chooser_policy_parse(const char *text, enum chooser_policy *policy);

#endif
