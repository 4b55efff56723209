#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Shifts the rows of an image by an offset, in place. */
static PyObject *shift(PyObject *self, PyObject *args)
{
    Py_buffer image;
    Py_ssize_t width, height, dy;
    if (!PyArg_ParseTuple(args, "w*nnn", &image, &width, &height, &dy))
        return NULL;
    unsigned char *pixels = image.buf;
    for (Py_ssize_t y = 0; y < height; y++)
        for (Py_ssize_t x = 0; x < width; x++)
            pixels[y * width + x] = pixels[(y + dy) * width + x];
    PyBuffer_Release(&image);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"shift", shift, METH_VARARGS, "Shifts rows."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_warp", NULL, -1, methods};

PyMODINIT_FUNC PyInit__warp(void)
{
    return PyModule_Create(&module);
}
