##! Intervals as the logs have them.

function seconds(i: interval): string
	{
	return fmt("%.6f", interval_to_double(i));
	}
