void scale(float *x, int n, float k) { for (int i = 0; i < n; i++) x[i] *= k; }
