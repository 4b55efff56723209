int resample_line(const unsigned char *source, unsigned char *target, int width, int factor)
{
    int written = 0;
    for (int x = 0; x < width; x += factor)
        target[written++] = source[x];
    return written;
}
